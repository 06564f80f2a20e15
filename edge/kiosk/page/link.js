// The line to the agent. While the agent is away every screen says so, and whatever is touched is answered.
import { put } from "/static/words.js";

const WAITING_MS = 1_200;       // a call that takes longer is said to be under way
const LONGEST_MS = 20_000;      // a call that takes longer has failed
const SAID_MS = 8_000;          // what was said to a touch stands this long
let away = true;
let unanswered = 0;
let said = { key: "", until: 0 };
const listeners = [];
let heard = () => {};

export const isAway = () => away;
export const onLink = (hear) => { listeners.push(hear); };
export const onTold = (hear) => { heard = hear; };

// The agent answers, or does not.
export function setAway(now) {
  if (away === now) return;
  away = now;
  if (!away && said.key.startsWith("link.")) said.until = 0;
  paint();
  for (const hear of listeners) hear(away);
}

// Answer a touch in words that stand for a while, on whatever screen.
export function tell(key) {
  said = { key, until: performance.now() + SAID_MS };
  paint();
  heard(key);
  setTimeout(paint, SAID_MS + 50);
}

function paint() {
  const now = performance.now() < said.until ? said.key : "";
  const key = now || (away ? "link.away" : unanswered ? "link.waiting" : "");
  for (const element of document.querySelectorAll(".link")) if (element.dataset.say !== key) put(element, key);
}

// Ask the agent; `problem` is `offline` when it does not answer. A Blob is sent as it is, anything else as JSON.
export async function ask(path, body) {
  const frame = body instanceof Blob;
  const slow = setTimeout(() => { unanswered += 1; paint(); }, WAITING_MS);
  const begun = performance.now();
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": frame ? "image/jpeg" : "application/json" },
      body: frame ? body : JSON.stringify(body ?? {}),
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    return { ok: answer.ok, ...(await answer.json()) };
  } catch {
    return { ok: false, problem: "offline" };
  } finally {
    clearTimeout(slow);
    if (performance.now() - begun >= WAITING_MS) { unanswered = Math.max(0, unanswered - 1); paint(); }
  }
}

// A touched button: ask, and say so when nothing came of it. That a screen has gone meanwhile shows by itself.
export async function act(path, body) {
  const answer = await ask(path, body);
  if (answer.problem === "offline") tell("link.not_sent");
  else if (!answer.ok && answer.problem !== "wrong_moment") tell("problem.fault");
  return answer;
}
