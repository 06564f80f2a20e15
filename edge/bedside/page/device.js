// Calls to the device, and the handing over of what waits: in order, each once, however often it is tried.
import { handedOver, markQueued, openBytes, openValue, queued } from "/static/vault.js";

const PATIENCE_MS = 8_000;
export const SHORT_MS = 1_500; // for who stands at a bed while the device was out of reach a moment ago
const LOOK_MS = 30_000;
const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, Math.max(0, milliseconds)); });

export async function call(path, body, type = "application/json", patienceMs = PATIENCE_MS) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), patienceMs);
  try {
    const answer = await fetch(path, body === undefined ? { signal: control.signal } : {
      method: "POST", signal: control.signal, headers: { "content-type": type },
      body: type === "application/json" ? JSON.stringify(body) : body,
    });
    // A yes that was cut off in the middle says nothing: it is asked for again, as one that never came.
    const value = answer.ok ? await answer.json() : await answer.json().catch(() => ({ problem: "fault" }));
    return { ok: answer.ok, status: answer.status, value };
  } catch {
    return { ok: false, status: 0, value: { problem: "offline" } };
  } finally {
    clearTimeout(timer);
  }
}

// Whether an answer may come right by itself if it is handed over again later.
const passing = (answer) => answer.status === 0 || answer.status === 401 || answer.status === 429 || answer.status >= 500;

// Show kept frames to the device at the pace at which they were taken, so that it sees what it would have seen.
async function replay(item, answer) {
  const begun = await call("/api/looks", { sheet_id: answer.sheet_id, check_id: answer.check_id });
  if (!begun.ok || begun.value.verdict) return begun;
  const began = performance.now();
  const first = item.frames[0].at;
  const path = `/api/looks/${begun.value.look_id}`;
  let look = begun;
  for (const frame of item.frames) {
    await wait(frame.at - first - (performance.now() - began));
    look = await call(`${path}/frames`, new Blob([await openBytes(frame.sealed)]), "image/jpeg");
    if (!look.ok || look.value.verdict) return look;
  }
  while (look.ok && !look.value.verdict && performance.now() - began < LOOK_MS) {
    await wait(300);  // the device ends a look by its time; a frame shown twice would look like a recording
    look = await call(path);
  }
  return look;
}

async function handOverAnswer(item, answer) {
  const asked = { ...answer, photograph: item.photograph ? base64(await openBytes(item.photograph)) : null };
  if (item.frames.length && !asked.look_id) {
    const look = await replay(item, answer);
    if (!look.ok) return look;
    if (look.value.verdict) asked.look_id = look.value.look_id;
  }
  asked.sent_ms = Date.now();
  return call("/api/answers", asked);
}

function base64(buffer) {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}

// One item, with the ways round what can be mended here: signed out, sheet not open, look forgotten.
async function handOver(item, head, signIn, codeOf) {
  const attempt = () => (head.kind === "open"
    ? call(`/api/sheets/${head.sheet_id}/open`, { code: head.code })
    : handOverAnswer(item, head.answer));
  let answer = await attempt();
  if (answer.status === 401 && await signIn()) answer = await attempt();
  if (head.kind === "answer" && answer.value.problem === "unknown_check") {
    const code = await codeOf(head.answer.sheet_id);
    await call(`/api/sheets/${head.answer.sheet_id}/open`, { code });
    answer = await attempt();
  }
  if (head.kind === "answer" && answer.value.problem === "unknown_look") {
    head.answer.look_id = null;
    answer = await attempt();
  }
  return answer;
}

let running = null;

// Hand over everything that waits for this inspector. `session`: see session.js.
export function sync(session) {
  running ??= (async () => {
    try {
      for (const { place, ...item } of await queued()) {
        if (item.number !== session.number || item.stuck) continue;
        const head = await openValue(item.head);
        const answer = await handOver(item, head, session.signIn, session.codeOf);
        if (answer.ok || (head.kind === "open" && !passing(answer))) {
          const list = head.kind === "answer" ? await session.learnt(head.answer, answer.value) : null;
          await session.written(() => handedOver(session.key, session.number, list, place));
        } else if (passing(answer)) {
          return false;
        } else {
          await markQueued(place, { ...item, stuck: answer.value.problem ?? "fault" });
        }
        session.changed();
      }
      return true;
    } finally {
      running = null;
    }
  })();
  return running;
}
