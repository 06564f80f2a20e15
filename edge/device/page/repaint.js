// Repaints a list around what stands in it: a row that somebody presses is still there, and in its place, when the finger lifts.
// (A click needs the element that the press began on, under the finger to the end.) While a finger is on a list, the list waits.
const TAP_MS = 400;           // a touch's click comes this long after the finger lifted, at the latest
const LONGEST_PRESS_MS = 10_000;   // something that lies on the screen for longer is no finger
const waiting = new Map();    // list -> the rows that it is to show
let pressed = null;           // what a finger is on
let since = 0;

const keyOf = (row) => row.dataset.key ?? row.textContent;
const alike = (row, fresh) => row.children.length === fresh.children.length
  && [...row.children].every((each, place) => each.tagName === fresh.children[place].tagName);
const isPressed = (box) => pressed !== null && performance.now() - since < LONGEST_PRESS_MS && box.contains(pressed);

function renewed(row, fresh) {
  row.onclick = fresh.onclick;
  for (const { name } of [...row.attributes]) if (!fresh.hasAttribute(name)) row.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (row.getAttribute(name) !== value) row.setAttribute(name, value);
  if (row.children.length && alike(row, fresh)) [...fresh.children].forEach((each, place) => renewed(row.children[place], each));
  else if (row.children.length || row.textContent !== fresh.textContent) row.replaceChildren(...fresh.childNodes);
  return row;
}

function paint(box, wanted) {
  const standing = new Map([...box.children].map((row) => [keyOf(row), row]));
  const rows = wanted.map((fresh) => {
    const row = standing.get(keyOf(fresh));
    return row?.tagName === fresh.tagName ? renewed(row, fresh) : fresh;
  });
  const kept = new Set(rows);
  for (const row of [...box.children]) if (!kept.has(row)) row.remove();
  rows.forEach((row, place) => { if (box.children[place] !== row) box.insertBefore(row, box.children[place] ?? null); });
}

// Show these rows in this order; one of the same `data-key` and tag that stands there already is kept and brought up to date.
export function repaint(box, wanted) {
  if (isPressed(box)) { waiting.set(box, wanted); return; }
  waiting.delete(box);
  paint(box, wanted);
}

// Show nothing at once, whoever presses.
export function clear(box) {
  waiting.delete(box);
  box.replaceChildren();
}

function catchUp() {
  for (const [box, wanted] of [...waiting]) repaint(box, wanted);
}

// Only the press that is lifted lets go: another one may have begun since.
function release() {
  const mine = pressed;
  setTimeout(() => {
    if (pressed === mine) pressed = null;
    catchUp();
  }, TAP_MS);
}

addEventListener("pointerdown", (event) => { pressed = event.target; since = performance.now(); }, true);
for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, release, true);
setInterval(catchUp, LONGEST_PRESS_MS);
