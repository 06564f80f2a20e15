// A list's side panel: the row that has the focus, or under which the pointer rests, is shown beside the list on
// a wide screen; without this script each row's link opens its page. A box in the head ticks all that is shown.
const side = document.querySelector("[data-side]");
let shown = "";
const show = (link) => {
  if (!side || side.offsetParent === null || !link || link.dataset.beside === shown) return;
  shown = link.dataset.beside;
  const asked = shown;
  document.querySelector("tr.shown")?.classList.remove("shown");
  link.closest("tr").classList.add("shown");
  fetch(asked, { headers: { Accept: "text/html" } })
    .then((answer) => (answer.ok ? answer.text() : null))
    .then((part) => { if (part !== null && asked === shown) side.innerHTML = part; })
    .catch(() => {});
};
document.addEventListener("focusin", (event) => show(event.target.closest("tr")?.querySelector("[data-beside]")));
document.addEventListener("click", (event) => {
  if (event.target.closest("a, button, input, label, summary")) return;
  show(event.target.closest("tr")?.querySelector("[data-beside]"));
});
show(document.querySelector("[data-beside]"));
document.querySelector("[data-tick-all]")?.addEventListener("change", (event) => {
  for (const box of document.querySelectorAll("[name=doubt]")) box.checked = event.target.checked;
});
