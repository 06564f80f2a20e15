// What a card reader types is taken wherever the focus is, from the moment the page is there: a few characters, fast, then Enter.
const GAP_MS = 1_500;           // a reader types faster; after a longer pause another card begins
const FEWEST = 4;               // characters of a card's number; fewer are somebody at the keyboard
const card = document.getElementById("card");
let read = "";
let last = -Infinity;
let waiting = [];
let take = (number) => { waiting.push(number); };

// Hand every card to `handler` from now on, and those that were read before.
export function onCard(handler) {
  take = handler;
  for (const number of waiting.splice(0)) take(number);
}

// A card is being read just now, wherever what is typed goes.
export const isReading = () => performance.now() - last < GAP_MS;

function typed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.target.matches?.("input")) {
    if (event.target === card && event.key.length === 1) last = performance.now();
    return;                     // a field takes it itself
  }
  if (/^[0-9A-Za-z]$/.test(event.key)) {
    read = (isReading() ? read || card.value : "") + event.key;
    last = performance.now();
    if (document.body.dataset.screen === "idle" && !document.querySelector("dialog[open]")) {
      card.value = read;
      read = "";
      card.focus();
      event.preventDefault();
    }
  } else if (event.key === "Enter" && isReading() && read.length >= FEWEST) {
    event.preventDefault();     // the reader's, and no press of whatever has the focus
    event.stopImmediatePropagation();
    const number = read;
    read = "";
    take(number);
  }
}

// The idle screen has come while a card was being read: the rest of it is typed into the field.
export function handOver() {
  if (isReading() && read) card.value = read;
  read = "";
}

addEventListener("keydown", typed, true);
