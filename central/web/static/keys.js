// Keys of a list: j and k go from row to row, Enter and o open, a goes to the row's first action; on a page opened
// from a list j and k go to the next and the previous one, a to what can be done, u back to the list. A key counts
// only while nothing is typed.
const rows = () => [...document.querySelectorAll("[data-keys] tbody a.open")];
const typing = (one) => one.closest("input, select, textarea, [contenteditable]");
const follow = (rel) => document.querySelector(`a[rel="${rel}"]`)?.click();
const step = (way) => {
  const all = rows();
  if (!all.length) return follow(way > 0 ? "next" : "prev");
  const row = document.activeElement?.closest("tr");
  const place = all.findIndex((one) => one.closest("tr") === row);
  const next = place < 0 ? (way > 0 ? 0 : all.length - 1) : place + way;
  if (next < 0) return follow("prev");
  if (next >= all.length) return follow("next");
  all[next].focus();
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (localStorage.getItem("keys") === "off") return;
  const act = () => {
    const row = document.activeElement?.closest("tr")?.querySelector("[data-act]");
    (row ?? document.querySelector("#do :is(input:not([type=hidden]), select, textarea, button):enabled"))?.focus();
  };
  const open = () => document.activeElement?.closest("tr")?.querySelector("a.open")?.click();
  const back = () => document.querySelector("nav.trail a")?.click();
  const does = { j: () => step(1), k: () => step(-1), a: act, o: open, u: back }[event.key];
  if (does) {
    event.preventDefault();
    does();
  }
});
const toggle = document.querySelector("[data-keys-toggle]");
if (toggle) {
  const show = () => toggle.setAttribute("aria-pressed", String(localStorage.getItem("keys") !== "off"));
  toggle.addEventListener("click", () => {
    localStorage.setItem("keys", localStorage.getItem("keys") === "off" ? "on" : "off");
    show();
  });
  show();
}
