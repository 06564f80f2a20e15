// Repaints a list around what stands in it: a button that somebody presses is still there when the finger lifts.
// (A click needs the element that the press began on; one that was made anew in between takes the click away.)

const keyOf = (row) => row.dataset.key ?? row.textContent;
const alike = (row, fresh) => row.children.length === fresh.children.length
  && [...row.children].every((each, place) => each.tagName === fresh.children[place].tagName);

function renewed(row, fresh) {
  row.onclick = fresh.onclick;
  for (const { name } of [...row.attributes]) if (!fresh.hasAttribute(name)) row.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (row.getAttribute(name) !== value) row.setAttribute(name, value);
  if (row.children.length && alike(row, fresh)) [...fresh.children].forEach((each, place) => renewed(row.children[place], each));
  else if (row.children.length || row.textContent !== fresh.textContent) row.replaceChildren(...fresh.childNodes);
  return row;
}

// Show these rows in this order; one of the same `data-key` and tag that stands there already is kept and brought up to date.
export function repaint(box, wanted) {
  const standing = new Map([...box.children].map((row) => [keyOf(row), row]));
  const rows = wanted.map((fresh) => {
    const row = standing.get(keyOf(fresh));
    return row?.tagName === fresh.tagName ? renewed(row, fresh) : fresh;
  });
  const kept = new Set(rows);
  for (const row of [...box.children]) if (!kept.has(row)) row.remove();
  rows.forEach((row, place) => { if (box.children[place] !== row) box.insertBefore(row, box.children[place] ?? null); });
}
