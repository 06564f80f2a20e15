// Puts in what takes longer than the page: each place holds a link that does the same without this script.
for (const place of document.querySelectorAll("[data-part]")) {
  fetch(place.dataset.part, { headers: { Accept: "text/html" } })
    .then((answer) => (answer.ok ? answer.text() : null))
    .then((part) => { if (part !== null) place.innerHTML = part; })
    .catch(() => {});
}
