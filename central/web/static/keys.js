// Keys of a list: j and k go from row to row, Enter opens, a goes to the row's first action; on a page opened
// from a list they go to the next and the previous one. A key counts only while nothing is typed.
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
  const act = () => document.activeElement?.closest("tr")?.querySelector("[data-act]")?.focus();
  const does = { j: () => step(1), k: () => step(-1), a: act }[event.key];
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
