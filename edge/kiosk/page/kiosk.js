// The kiosk page: shows the screen that the agent names, sends frames, measures usable face to green.
import { Camera } from "/static/camera.js";
import { Comfort } from "/static/comfort.js";
import { act, ask, isAway, onLink, onTold, setAway, tell } from "/static/link.js";
import { Roster } from "/static/roster.js";
import { handOver, isReading, onCard } from "/static/typed.js";
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
const ROSTER_KEPT_MS = 30_000;   // a letter of the rail, left alone for so long, was somebody's who has gone
const AWAY_MS = 30_000;         // without the agent for so long, nobody's name stays on the screen
const NAMED_KEPT_MS = 20_000;   // who was named while the agent was away is named to it when it is back, not later
const roster = new Roster($("roster"), $("rail"), $("gone"), {
  repaint, choose: (patient) => identify({ person_id: patient.person_id }),
});
const OPEN_SCREENS = ["idle", "asleep", "scan", "done", "fault"];   // nobody's visit is under way
let socket = null;
let sent = 0;
let screen = { screen: "away" };   // until the agent has said which
let named = null;               // who was named and not taken yet: { call, at }
let lost = null;                // timer: the agent is away
let shown = "";
let watching = "";              // the screen that the camera serves; none while the agent is away
let wantsOtherWay = false;
let chosen = { identifier: null, cause: null };
let padTarget = $("witness");
let challenge = null;   // challenge.js: show(screen) is told every screen, may use #challenge and #oval
let stirred = performance.now();
let told = -Infinity;
let tabbed = false;

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
  socket.onmessage = (message) => {
    clearTimeout(lost);
    lost = null;
    setAway(false);
    show(JSON.parse(message.data));
    nameAgain();
  };
  socket.onclose = () => {
    letGo();
    setAway(true);
    lost ??= setTimeout(goAway, AWAY_MS);
    setTimeout(connect, 1000);
  };
}

// Nobody answers any more: the screen says so, and keeps nobody's name. The agent says where it stands when it is back.
function goAway() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  show({ screen: "away" });
  forget("");
  roster.clear();
  clear($("roster"));
}

function hearLink(away) {
  if (!away || screen.screen === "asleep") return;
  if (screen.screen === "looking") put($("guidance"), "link.away");
  voice.tell(["link.away"]);
}

function show(next) {
  const before = screen;
  screen = next;
  document.body.dataset.screen = next.screen;
  document.body.dataset.usable = next.screen === "looking" && next.frame && !next.guidance ? "yes" : "no";
  paint();
  challenge?.show(next);
  if (next.screen !== watching) watch();
  if (next.screen !== shown) arrive(next, shown);
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
    roster.reset();
    handOver();
    if (!document.querySelector("dialog[open]")) $("card").focus();
    loadRoster();
    if (before !== "done" && before !== "") voice.tell(spoken("idle"));
    return;
  }
  sectionOf(next.screen)?.querySelector("h1")?.focus();
  if (wantsOtherWay && ["consent", "already", "looking", "failed"].includes(next.screen)) {
    wantsOtherWay = false;
    act("/kiosk/other-way");
  }
  if (next.screen === "other_way") {
    chosen = { identifier: null, cause: next.cause };
    padTarget = $("witness");
    $("network-form").hidden = !settings.network_identity;
    options();
  }
  voice.tell(spoken(next.screen));
}

// What is said of a screen: its title, its text and its choices, in the order in which they stand.
function spoken(name) {
  const parts = [...sectionOf(name)?.querySelectorAll("[data-spoken]") ?? []];
  const footer = ["idle", "already"].includes(name) ? ["other_way.button"] : [];
  return [...parts.map((part) => part.dataset.say), ...footer].filter(Boolean);
}

// Nobody's name, number or PIN stays in the page; what the card reader is typing just now does.
function forget(before) {
  if (before !== "asleep" && !isReading()) $("card").value = "";
  $("witness").value = $("pin").value = $("network-code").value = "";
  put($("network-problem"), "");
  put($("witness-problem"), "");
  if (!["scan", "away"].includes(before)) put($("idle-problem"), "");
}

function fallAsleep() {
  roster.clear();
  clear($("roster"));
  $("comfort-dialog").close();
  forget("");
  voice.hush();
  comfort.reset();
  if (language() !== OWN_LANGUAGE) { speak(OWN_LANGUAGE); relabel(); }
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
  watching = screen.screen;
  if (settings.camera === "agent") {
    $("preview").hidden = !["looking", "scan"].includes(screen.screen);
    if (!$("preview").hidden) $("preview").src = `/kiosk/preview?${Date.now()}`;
    return;
  }
  if (wanted) begin(wanted);
}

function letGo() {
  watching = "";
  camera.stop();
  $("preview").hidden = true;
  $("preview").removeAttribute("src");
}

async function begin(fps) {
  const mayTake = () => socket.readyState === WebSocket.OPEN && socket.bufferedAmount === 0;
  try {
    await camera.start(fps, mayTake, (blob, at) => {
      if (socket.readyState !== WebSocket.OPEN) return;  // gone while the picture was made
      sent += 1;
      captured.set(sent, at);
      if (captured.size > KEPT) captured.delete(captured.keys().next().value);
      socket.send(blob);
    });
    if (screen.screen === "looking") ask("/kiosk/camera", { state: "up" });
  } catch (error) {
    ask("/kiosk/camera", { state: "failed", cause: String(error.name || "unknown").slice(0, 40) });
    if (screen.screen === "looking") act("/kiosk/other-way", { cause: "camera_fault" });
    if (screen.screen === "scan") { await ask("/kiosk/cancel"); put($("idle-problem"), "camera_failed"); }
  }
}

// From the capture of the frame with the first usable face to the first paint of the green screen.
function measure(done) {
  const from = settings.camera === "agent"
    ? performance.now() - done.first_usable_ago_ms : captured.get(done.first_usable_frame);
  if (!Number.isFinite(from)) return;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const milliseconds = performance.now() - from;
    ask("/kiosk/latencies", { event_id: done.event_id, frame: done.first_usable_frame, milliseconds });
  }));
}

async function loadRoster() {
  const answer = await fetch("/kiosk/roster").catch(() => null);
  if (!answer?.ok) return;
  const patients = await answer.json();
  if (!["asleep", "away"].includes(screen.screen)) roster.show(patients);
}

// Somebody was named: by a touch or a card. While the agent is away that is kept, and named to it when it is back.
function identify(call) {
  named = { call, at: performance.now() };
  $("card").value = "";
  put($("idle-problem"), "");
  return nameAgain();
}

async function nameAgain() {
  const mine = named;
  if (!mine || mine.under) return;
  if (isAway()) { keptInWords(mine); return; }
  if (!OPEN_SCREENS.includes(screen.screen)) { named = null; return; }   // it was taken, and only the answer was lost
  if (performance.now() - mine.at > NAMED_KEPT_MS) {
    named = null;
    problem($("idle-problem"), { problem: "name_again" });
    return;
  }
  mine.under = true;
  const answer = await ask("/kiosk/identify", mine.call);
  mine.under = false;
  if (named !== mine) return;
  if (answer.problem === "offline") { keptInWords(mine); return; }
  named = null;
  problem($("idle-problem"), answer.problem === "wrong_moment" ? { problem: "another_visit" } : answer);
  if (answer.problem === "wrong_moment") tell("problem.another_visit");
}

function keptInWords(mine) {
  tell(mine.call.card_number ? "link.card_kept" : "link.name_kept");
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
    const answer = await ask("/kiosk/witness", { witness_id: $("witness").value, pin: $("pin").value, ...chosen });
    if (answer.problem === "offline") tell("link.not_sent"); else $("pin").value = "";
    problem($("witness-problem"), answer);
  };
  $("network-form").onsubmit = async (event) => {
    event.preventDefault();
    const code = $("network-code").value.trim();
    $("network-code").value = "";   // good for one question
    if (code) problem($("network-problem"), await ask("/kiosk/network-identity", { code }));
  };
  let asked = performance.now();
  $("witness-form").addEventListener("pointerdown", () => {   // whoever is at work here is not asked whether they are
    if (performance.now() - asked > STIR_EVERY_MS) { asked = performance.now(); ask("/kiosk/more-time"); }
  });
  $("scan").onclick = () => act("/kiosk/scan");
  $("agree").onclick = () => act("/kiosk/consent", { given: true });
  $("refuse").onclick = () => act("/kiosk/consent", { given: false });
  $("more-time-yes").onclick = () => act("/kiosk/more-time");
  $("more-time").oncancel = (event) => { event.preventDefault(); act("/kiosk/more-time"); };
  $("comfort").onclick = () => { $("comfort-dialog").showModal(); voice.tell(["comfort.title"]); };
  $("language").onclick = () => { speakOther(); relabel(); };
  for (const button of document.querySelectorAll(".go-on")) button.onclick = () => act("/kiosk/go-on");
  for (const button of document.querySelectorAll(".cancel")) button.onclick = () => act("/kiosk/cancel");
  for (const button of document.querySelectorAll(".other-way")) {
    button.onclick = () => {
      if (screen.screen !== "idle") { act("/kiosk/other-way"); return; }
      if (isAway()) { tell("link.not_sent"); return; }
      wantsOtherWay = true;
      put($("idle-problem"), "idle.other_way");
      voice.tell(["idle.other_way"]);
      $("card").focus();
    };
  }
  onCard((number) => {
    if ([...OPEN_SCREENS, "away"].includes(screen.screen)) {
      $("comfort-dialog").close();
      identify({ card_number: number });
    } else tell("problem.another_visit");
  });
  onLink(hearLink);
  onTold((key) => voice.tell([key]));
}

// A touch or a key: the kiosk wakes and stays awake.
function stir(event) {
  stirred = performance.now();
  tabbed = event.type === "keydown" && event.key === "Tab";
  if (screen.screen === "asleep" || (screen.screen === "idle" && stirred - told > STIR_EVERY_MS)) {
    told = stirred;
    ask("/kiosk/awake").then((answer) => { if (answer.problem === "offline" && event.type === "pointerdown") tell("link.not_sent"); });
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

speak();
const comfort = new Comfort($("comfort-dialog"), voice, name);
challenge = await import("/static/challenge.js").catch(() => null);
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, stir, true);
document.addEventListener("focusin", (event) => { if (tabbed) { tabbed = false; name(event.target); } });
relabel();
buildPad();
listen();
await voice.keep(["link.away", "link.not_sent"]);
connect();
setInterval(() => { if (screen.screen === "idle") loadRoster(); }, 60_000);
setInterval(() => {
  if (screen.screen !== "idle" || performance.now() - stirred < COMFORT_KEPT_MS || $("comfort-dialog").open) return;
  comfort.reset();
  if (language() !== OWN_LANGUAGE) { speak(OWN_LANGUAGE); relabel(); }
}, 5_000);
setInterval(() => { if (performance.now() - stirred > ROSTER_KEPT_MS) roster.reset(); }, 5_000);
