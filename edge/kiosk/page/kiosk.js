// The kiosk page: shows the screen that the agent names, sends frames, measures usable face to green.
import { Camera } from "/static/camera.js";
import { Comfort } from "/static/comfort.js";
import { clear, repaint } from "/shared/repaint.js";
import { Voice } from "/static/voice.js";
import { known, language, OWN_LANGUAGE, put, say, settings, speak, speakOther } from "/static/words.js";

const $ = (id) => document.getElementById(id);
const camera = new Camera($("video"));
const voice = new Voice($("voice"));
const captured = new Map();   // frame number -> performance.now() at its capture
const KEPT = 600;
const SCAN_FPS = 6;
const REST_FPS = 2;           // while asleep: enough to see that somebody comes
const STIR_EVERY_MS = 5_000;
const COMFORT_KEPT_MS = 60_000;
let socket = null;
let sent = 0;
let screen = { screen: "idle" };
let shown = "";
let wantsOtherWay = false;
let chosen = { identifier: null, cause: null };
let padTarget = $("witness");
let challenge = null;   // challenge.js: show(screen) is told every screen, may use #challenge and #oval
let stirred = performance.now();
let told = -Infinity;
let tabbed = false;

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

function problem(element, answer) {
  const key = known(`problem.${answer.problem}`) ? `problem.${answer.problem}` : "problem.fault";
  put(element, answer.ok ? "" : key);
  if (!answer.ok) voice.tell([key]);
}

function connect() {
  socket = new WebSocket(`ws://${location.host}/kiosk/socket`);
  socket.binaryType = "arraybuffer";
  sent = 0;
  captured.clear();
  socket.onmessage = (message) => show(JSON.parse(message.data));
  socket.onopen = () => { put($("idle-problem"), ""); };
  socket.onclose = () => {
    letGo();
    put($("idle-problem"), "problem.offline");
    setTimeout(connect, 1000);
  };
}

function show(next) {
  const before = screen;
  screen = next;
  document.body.dataset.screen = next.screen;
  document.body.dataset.usable = next.screen === "looking" && next.frame && !next.guidance ? "yes" : "no";
  paint();
  challenge?.show(next);
  if (next.screen !== shown) { watch(); arrive(next, shown); }
  if (next.screen === "done" && next.event_id && before.event_id !== next.event_id) measure(next);
  const dialog = $("more-time");
  if (next.warned && !dialog.open) { $("comfort-dialog").close(); dialog.showModal(); voice.tell(["more_time.title", "more_time.yes"]); }
  if (!next.warned && dialog.open) dialog.close();
  shown = next.screen;
}

const sectionOf = (name) => document.querySelector(`section[data-for=${name === "scan" ? "looking" : name}]`);

function arrive(next, before) {
  document.querySelector("main").scrollTop = 0;
  if (next.screen === "asleep") { fallAsleep(); return; }
  if (next.screen === "idle") {
    wantsOtherWay = false;
    forget(before);
    $("card").focus();
    loadRoster();
    if (before !== "done" && before !== "") voice.tell(spoken("idle"));
    return;
  }
  sectionOf(next.screen)?.querySelector("h1")?.focus();
  if (wantsOtherWay && ["consent", "already", "looking", "failed"].includes(next.screen)) {
    wantsOtherWay = false;
    call("/kiosk/other-way");
  }
  if (next.screen === "other_way") {
    chosen = { identifier: null, cause: next.cause };
    padTarget = $("witness");
    options();
  }
  voice.tell(spoken(next.screen));
}

// What is said of a screen: its title, its text and its choices, in the order in which they stand.
function spoken(name) {
  const parts = [...sectionOf(name).querySelectorAll("[data-spoken]")];
  const footer = ["idle", "already"].includes(name) ? ["other_way.button"] : [];
  return [...parts.map((part) => part.dataset.say), ...footer].filter(Boolean);
}

// Nobody's name, number or PIN stays in the page; what the card reader is typing just now does.
function forget(before) {
  if (before !== "asleep") $("card").value = "";
  $("witness").value = $("pin").value = "";
  put($("witness-problem"), "");
  if (before !== "scan") put($("idle-problem"), "");
}

function fallAsleep() {
  clear($("roster"));
  $("comfort-dialog").close();
  forget("");
  voice.hush();
  comfort.reset();
  if (language() !== OWN_LANGUAGE) speak(OWN_LANGUAGE).then(relabel);
  $("card").focus();
}

function paint() {
  const waits = screen.halted ? "notice.halted" : "";
  const trouble = screen.disk_short ? "notice.disk_short" : waits ? waits : screen.camera ? `notice.camera_${screen.camera}`
    : screen.unable ? `notice.unable_${screen.unable}`
    : screen.witness_needed ? "notice.witness_needed" : "";
  put($("notice"), trouble);
  const patient = screen.patient;
  for (const who of document.querySelectorAll(".who")) {
    who.textContent = patient ? `${patient.surname}  ${patient.masked_number}` : "";
  }
  if (screen.screen === "looking") {
    put($("looking-title"), `looking.${screen.intent}`);
    guide(screen.guidance ? `guidance.${screen.guidance}` : screen.frame ? "guidance.ready" : "starting");
  }
  if (screen.screen === "scan") {
    put($("looking-title"), "scan.title");
    guide(screen.problem ? `problem.${screen.problem}` : "scan.hint");
  }
  if (screen.screen === "failed") put($("advice"), `guidance.${screen.advice}`);
  if (screen.screen === "other_way") {
    const key = `cause_text.${screen.cause}`;
    put($("cause-text"), known(key) ? key : "cause_text.asked_for");
    $("reconsider").hidden = screen.cause !== "face_declined";
  }
  if (screen.screen === "done") {
    put($("done-title"), `done.${screen.intent}`);
    const wish = screen.intent === "sign_in" ? "done.wish_in" : "done.wish_out";
    put($("done-text"), screen.network_away ? "done.network_away" : wish);
  }
}

function guide(key) {
  const fresh = $("guidance").dataset.say !== key;
  if (fresh) put($("guidance"), key);
  if (shown === screen.screen && fresh && key !== "starting") voice.guide(key);
}

// The camera serves the screen: many frames to look, some to read a code, few to notice that somebody comes.
function watch() {
  const wanted = {
    looking: settings.frames_per_second, scan: SCAN_FPS, asleep: settings.wake_on_motion ? REST_FPS : 0,
  }[screen.screen] ?? 0;
  letGo();
  if (settings.camera === "agent") {
    $("preview").hidden = !["looking", "scan"].includes(screen.screen);
    if (!$("preview").hidden) $("preview").src = `/kiosk/preview?${Date.now()}`;
    return;
  }
  if (wanted) begin(wanted);
}

function letGo() {
  camera.stop();
  $("preview").hidden = true;
  $("preview").removeAttribute("src");
}

async function begin(fps) {
  const mayTake = () => socket.readyState === WebSocket.OPEN && socket.bufferedAmount === 0;
  try {
    await camera.start(fps, mayTake, (blob, at) => {
      sent += 1;
      captured.set(sent, at);
      if (captured.size > KEPT) captured.delete(captured.keys().next().value);
      socket.send(blob);
    });
    if (screen.screen === "looking") call("/kiosk/camera", { state: "up" });
  } catch (error) {
    call("/kiosk/camera", { state: "failed", cause: String(error.name || "unknown").slice(0, 40) });
    if (screen.screen === "looking") call("/kiosk/other-way", { cause: "camera_fault" });
    if (screen.screen === "scan") { await call("/kiosk/cancel"); put($("idle-problem"), "camera_failed"); }
  }
}

// From the capture of the frame with the first usable face to the first paint of the green screen.
function measure(done) {
  const from = settings.camera === "agent"
    ? performance.now() - done.first_usable_ago_ms : captured.get(done.first_usable_frame);
  if (!Number.isFinite(from)) return;
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
    tile.dataset.key = tile.dataset.person = patient.person_id;
    const name = document.createElement("b");
    const number = document.createElement("span");
    name.textContent = patient.surname;
    number.textContent = patient.masked_number;
    tile.append(name, number);
    tile.dataset.ending = patient.masked_number.replace(/\D/g, "");
    tile.onclick = () => identify({ person_id: patient.person_id });
    return tile;
  });
  if (!tiles.length) {
    tiles.push(document.createElement("p"));
    tiles[0].textContent = say("idle.nobody");
  }
  if (screen.screen !== "asleep") repaint($("roster"), tiles);
}

async function identify(named) {
  const answer = await call("/kiosk/identify", named);
  problem($("idle-problem"), answer);
  $("card").value = "";
}

function options() {
  const fill = (box, kind, values) => {
    $(box).replaceChildren(...values.map((value) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.value = value;
      put(button, `${kind}.${value}`);
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
    if (!chosen.identifier || !chosen.cause) { problem($("witness-problem"), { problem: "choose" }); return; }
    const answer = await call("/kiosk/witness", { witness_id: $("witness").value, pin: $("pin").value, ...chosen });
    $("pin").value = "";
    problem($("witness-problem"), answer);
  };
  let asked = performance.now();
  $("witness-form").addEventListener("pointerdown", () => {   // whoever is at work here is not asked whether they are
    if (performance.now() - asked > STIR_EVERY_MS) { asked = performance.now(); call("/kiosk/more-time"); }
  });
  $("scan").onclick = () => call("/kiosk/scan");
  $("agree").onclick = () => call("/kiosk/consent", { given: true });
  $("refuse").onclick = () => call("/kiosk/consent", { given: false });
  $("more-time-yes").onclick = () => call("/kiosk/more-time");
  $("more-time").oncancel = (event) => { event.preventDefault(); call("/kiosk/more-time"); };
  $("comfort").onclick = () => { $("comfort-dialog").showModal(); voice.tell(["comfort.title"]); };
  $("language").onclick = () => speakOther().then(relabel);
  for (const button of document.querySelectorAll(".go-on")) button.onclick = () => call("/kiosk/go-on");
  for (const button of document.querySelectorAll(".cancel")) button.onclick = () => call("/kiosk/cancel");
  for (const button of document.querySelectorAll(".other-way")) {
    button.onclick = () => {
      if (screen.screen !== "idle") { call("/kiosk/other-way"); return; }
      wantsOtherWay = true;
      put($("idle-problem"), "idle.other_way");
      voice.tell(["idle.other_way"]);
      $("card").focus();
    };
  }
}

// A touch or a key: the kiosk wakes, stays awake, and what a card reader types is never lost.
function stir(event) {
  stirred = performance.now();
  tabbed = event.type === "keydown" && event.key === "Tab";
  const waiting = ["asleep", "idle"].includes(screen.screen);
  const typed = event.type === "keydown" && /^[0-9A-Za-z]$/.test(event.key) && !event.ctrlKey && !event.altKey;
  if (waiting && typed && !document.activeElement.matches("input") && !document.querySelector("dialog[open]")) $("card").focus();
  if (screen.screen === "asleep" || (screen.screen === "idle" && stirred - told > STIR_EVERY_MS)) {
    told = stirred;
    call("/kiosk/awake");
  }
}

// A control that the keyboard or the one switch comes to is named; of a patient only the last digits.
function name(element) {
  if (element.dataset.ending) voice.tell(["spoken.ending", ...[...element.dataset.ending].map((digit) => `digit.${digit}`)]);
  else if (element.matches("input")) voice.tell([element.labels?.[0]?.dataset.say].filter(Boolean));
  else if (element.dataset.say) voice.tell([element.dataset.say]);
}

function relabel() {
  comfort.paint();
  paint();
  if (screen.screen === "other_way") options();
  if (screen.screen === "idle") loadRoster();
}

await speak();
const comfort = new Comfort($("comfort-dialog"), voice, name);
challenge = await import("/static/challenge.js").catch(() => null);
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, stir, true);
document.addEventListener("focusin", (event) => { if (tabbed) { tabbed = false; name(event.target); } });
relabel();
buildPad();
listen();
connect();
loadRoster();
setInterval(() => { if (screen.screen === "idle") loadRoster(); }, 60_000);
setInterval(() => {
  if (screen.screen !== "idle" || performance.now() - stirred < COMFORT_KEPT_MS || $("comfort-dialog").open) return;
  comfort.reset();
  if (language() !== OWN_LANGUAGE) speak(OWN_LANGUAGE).then(relabel);
}, 5_000);
