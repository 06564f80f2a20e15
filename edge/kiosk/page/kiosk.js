// The kiosk page: shows the screen that the agent names, sends frames, measures usable face to green.
import { Camera } from "/static/camera.js";
import { known, say, speak, speakOther } from "/static/words.js";

const $ = (id) => document.getElementById(id);
const camera = new Camera($("video"));
const captured = new Map();   // frame number -> performance.now() at its capture
const KEPT = 600;
let socket = null;
let sent = 0;
let settings = { frames_per_second: 12, identifiers: [], causes: [] };
let screen = { screen: "idle" };
let shown = "";
let wantsOtherWay = false;
let chosen = { identifier: null, cause: null };
let padTarget = $("witness");
let challenge = null;   // challenge.js: show(screen) is told every screen, may use #challenge and #oval

async function call(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body ?? {}),
    });
    return { ok: answer.ok, ...(await answer.json()) };
  } catch {
    return { ok: false, problem: "offline" };
  }
}

const problem = (answer) => (answer.ok ? "" : say(known(`problem.${answer.problem}`) ? `problem.${answer.problem}` : "problem.fault"));

function connect() {
  socket = new WebSocket(`ws://${location.host}/kiosk/socket`);
  socket.binaryType = "arraybuffer";
  sent = 0;
  captured.clear();
  socket.onmessage = (message) => show(JSON.parse(message.data));
  socket.onopen = () => { $("idle-problem").textContent = ""; };
  socket.onclose = () => {
    camera.stop();
    $("idle-problem").textContent = say("problem.offline");
    setTimeout(connect, 1000);
  };
}

function show(next) {
  const before = screen;
  screen = next;
  document.body.dataset.screen = next.screen;
  document.body.dataset.usable = next.screen === "looking" && next.frame && !next.guidance ? "yes" : "no";
  paint(before);
  challenge?.show(next);
  if (next.screen === "looking" && before.screen !== "looking") begin();
  if (next.screen !== "looking" && before.screen === "looking") camera.stop();
  if (next.screen === "done" && next.event_id && before.event_id !== next.event_id) measure(next);
  const dialog = $("more-time");
  if (next.warned && !dialog.open) dialog.showModal();
  if (!next.warned && dialog.open) dialog.close();
  if (next.screen !== shown) arrive(next);
  shown = next.screen;
}

function arrive(next) {
  document.querySelector("main").scrollTop = 0;
  if (next.screen === "idle") {
    wantsOtherWay = false;
    $("card").value = "";
    $("card").focus();
    loadRoster();
    return;
  }
  document.querySelector(`section[data-for=${next.screen}] h1`)?.focus();
  if (wantsOtherWay && ["consent", "already", "looking", "failed"].includes(next.screen)) {
    wantsOtherWay = false;
    call("/kiosk/other-way");
  }
  if (next.screen === "other_way") {
    chosen = { identifier: null, cause: next.cause };
    $("witness").value = $("pin").value = $("witness-problem").textContent = "";
    padTarget = $("witness");
    options();
  }
}

function paint() {
  $("notice").textContent = screen.disk_short ? say("notice.disk_short") : "";
  const patient = screen.patient;
  for (const who of document.querySelectorAll(".who")) {
    who.textContent = patient ? `${patient.surname}  ${patient.masked_number}` : "";
  }
  if (screen.screen === "looking") {
    $("looking-title").textContent = say(`looking.${screen.intent}`);
    const key = screen.guidance ? `guidance.${screen.guidance}` : screen.frame ? "guidance.ready" : "starting";
    $("guidance").textContent = say(key);
  }
  if (screen.screen === "failed") $("advice").textContent = say(`guidance.${screen.advice}`);
  if (screen.screen === "other_way") {
    const key = `cause_text.${screen.cause}`;
    $("cause-text").textContent = say(known(key) ? key : "cause_text.asked_for");
    $("reconsider").hidden = screen.cause !== "face_declined";
  }
  if (screen.screen === "done") {
    $("done-title").textContent = say(`done.${screen.intent}`);
    const wish = screen.intent === "sign_in" ? "done.wish_in" : "done.wish_out";
    $("done-text").textContent = say(screen.network_away ? "done.network_away" : wish);
  }
}

async function begin() {
  const mayTake = () => socket.readyState === WebSocket.OPEN && socket.bufferedAmount === 0;
  try {
    await camera.start(settings.frames_per_second, mayTake, (blob, at) => {
      sent += 1;
      captured.set(sent, at);
      if (captured.size > KEPT) captured.delete(captured.keys().next().value);
      socket.send(blob);
    });
    if (screen.screen === "looking") call("/kiosk/camera", { state: "up" });
  } catch (error) {
    call("/kiosk/camera", { state: "failed", cause: String(error.name || "unknown").slice(0, 40) });
    if (screen.screen === "looking") call("/kiosk/other-way", { cause: "camera_fault" });
  }
}

// From the capture of the frame with the first usable face to the first paint of the green screen.
function measure(done) {
  const from = captured.get(done.first_usable_frame);
  if (from === undefined) return;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const milliseconds = performance.now() - from;
    call("/kiosk/latencies", { event_id: done.event_id, frame: done.first_usable_frame, milliseconds });
  }));
}

async function loadRoster() {
  const answer = await fetch("/kiosk/roster").catch(() => null);
  if (!answer?.ok) return;
  const patients = await answer.json();
  const tiles = patients.map((patient) => {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.dataset.person = patient.person_id;
    const name = document.createElement("b");
    const number = document.createElement("span");
    name.textContent = patient.surname;
    number.textContent = patient.masked_number;
    tile.append(name, number);
    tile.onclick = () => identify({ person_id: patient.person_id });
    return tile;
  });
  if (!tiles.length) tiles.push(document.createTextNode(say("idle.nobody")));
  $("roster").replaceChildren(...tiles);
}

async function identify(named) {
  const answer = await call("/kiosk/identify", named);
  $("idle-problem").textContent = problem(answer);
  $("card").value = "";
}

function options() {
  const fill = (box, kind, values) => {
    $(box).replaceChildren(...values.map((value) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.value = value;
      button.textContent = say(`${kind}.${value}`);
      button.setAttribute("aria-pressed", String(chosen[kind] === value));
      button.onclick = () => { chosen[kind] = value; options(); };
      return button;
    }));
  };
  fill("identifiers", "identifier", settings.identifiers.filter((value) => value !== screen.identifier));
  fill("causes", "cause", [...new Set([screen.cause, ...settings.causes])]);
}

function buildPad() {
  for (const key of ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "⌫", "⇥"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = key;
    button.setAttribute("aria-label", { "⌫": "delete", "⇥": "next" }[key] ?? key);
    button.onclick = () => {
      if (key === "⇥") { padTarget = padTarget === $("witness") ? $("pin") : $("witness"); padTarget.focus(); return; }
      padTarget.value = key === "⌫" ? padTarget.value.slice(0, -1) : padTarget.value + key;
    };
    $("pad").append(button);
  }
  for (const id of ["witness", "pin"]) $(id).onfocus = () => { padTarget = $(id); };
}

function listen() {
  $("card-form").onsubmit = (event) => {
    event.preventDefault();
    if ($("card").value.trim()) identify({ card_number: $("card").value.trim() });
  };
  $("witness-form").onsubmit = async (event) => {
    event.preventDefault();
    if (!chosen.identifier || !chosen.cause) { $("witness-problem").textContent = say("other_way.choose"); return; }
    const answer = await call("/kiosk/witness", { witness_id: $("witness").value, pin: $("pin").value, ...chosen });
    $("pin").value = "";
    $("witness-problem").textContent = problem(answer);
  };
  $("agree").onclick = () => call("/kiosk/consent", { given: true });
  $("refuse").onclick = () => call("/kiosk/consent", { given: false });
  $("more-time-yes").onclick = () => call("/kiosk/more-time");
  $("more-time").oncancel = (event) => { event.preventDefault(); call("/kiosk/more-time"); };
  $("larger").onclick = () => {
    const larger = document.documentElement.classList.toggle("larger");
    $("larger").setAttribute("aria-pressed", String(larger));
  };
  $("language").onclick = () => speakOther().then(relabel);
  for (const button of document.querySelectorAll(".go-on")) button.onclick = () => call("/kiosk/go-on");
  for (const button of document.querySelectorAll(".cancel")) button.onclick = () => call("/kiosk/cancel");
  for (const button of document.querySelectorAll(".other-way")) {
    button.onclick = () => {
      if (screen.screen !== "idle") { call("/kiosk/other-way"); return; }
      wantsOtherWay = true;
      $("idle-problem").textContent = say("idle.other_way");
      $("card").focus();
    };
  }
}

function relabel() {
  $("language").textContent = say("other_language");
  paint();
  if (screen.screen === "other_way") options();
  if (screen.screen === "idle") loadRoster();
}

await speak();
challenge = await import("/static/challenge.js").catch(() => null);
relabel();
settings = await (await fetch("/kiosk/settings")).json();
buildPad();
listen();
connect();
loadRoster();
setInterval(() => { if (screen.screen === "idle") loadRoster(); }, 60_000);
