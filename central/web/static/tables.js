// On a narrow screen each row of a table becomes a card: every cell then carries the name of its column.
for (const table of document.querySelectorAll("main table")) {
  const heads = [...table.querySelectorAll("thead tr:last-child th")];
  if (heads.length < 3) continue;
  const names = heads.map((one) => one.textContent.replace(/[▲▼]/g, "").trim());
  table.classList.add("cards-when-narrow");
  table.setAttribute("role", "table"); // a table that is not shown as one is none to a screen reader otherwise
  for (const part of table.querySelectorAll("thead, tbody, tfoot")) part.setAttribute("role", "rowgroup");
  for (const row of table.rows) {
    row.setAttribute("role", "row");
    let place = 0;
    for (const cell of row.cells) {
      const head = cell.tagName === "TH";
      cell.setAttribute("role", head ? (cell.closest("thead") ? "columnheader" : "rowheader") : "cell");
      if (!head && cell.colSpan === 1) cell.dataset.label = names[place] ?? "";
      place += cell.colSpan;
    }
  }
}
