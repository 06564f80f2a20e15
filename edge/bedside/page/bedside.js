// The bedside page: shows one screen at a time, asks for what an answer needs, and never waits for the network.
import { Camera } from "/static/camera.js";
import { call } from "/static/device.js";
import { possible, setUp } from "/static/passkey.js";
import { repaint } from "/shared/repaint.js";
import { covering, Session } from "/static/session.js";
import { byWard, matches } from "/static/sheet.js";
import { meta, openVault } from "/static/vault.js";
import { known, language, say, speak, speakOther } from "/static/words.js";

const $ = (id) => document.getElementById(id);
const camera = new Camera($("video"));
const IDLE_MS = 10 * 60_000;
const KEPT_FRAMES = 20;
const KEPT_EVERY_MS = 200;
const UNIQUE = ["wristband", "insurance_card", "id_card", "e_credential"];
const IDENTIFIERS = ["name", "wristband", "insurance_card", "id_card", "e_credential", "date_of_birth"];
const REASONS = {
  present: ["face_not_verified", "no_reference", "mask", "face_declined", "camera_fault", "asleep", "intensive_care", "isolation"],
  cannot_be_asked: ["asleep", "intensive_care", "isolation"],
  mismatch: ["other_name_given", "other_document", "staff_confirmed"],
};
const CHOICES = ["present", "cannot_be_asked", "away", "absent", "refused", "mismatch"];

let session = null;
let list = null;      // the open round
let round = null;     // the round whose code is asked for
let check = null;     // the bed in hand
let form = null;      // what was said of it so far
let pictures = null;  // frames or photograph of the bed in hand: { frames: [{at, blob}], photograph }
let lookNumber = 0;
let touchedMs = Date.now();
let position = null;

const now = () => Date.now() - (session?.skewMs ?? 0);
const clock = (moment) => new Date(moment).toLocaleString(language(), { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" });
const problem = (name) => say(known(`problem.${name}`) ? `problem.${name}` : "problem.fault");

function element(tag, text = "", classes = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

function button(text, onclick, classes = "") {
  const made = element("button", text, classes);
  made.type = "button";
  made.onclick = onclick;
  return made;
}

function show(screen) {
  if (screen !== "look") stopLook();
  if (["check", "look", "form"].includes(screen)) toast.text = "";  // it names the bed before
  document.body.dataset.screen = screen;
  document.querySelector("main").scrollTop = 0;
  paint();
  document.querySelector(`section[data-for=${screen}] h1`)?.focus({ preventScroll: true });
}

const screen = () => document.body.dataset.screen;

// Say something for a moment, in the line that is always there.
function toast(text) {
  toast.text = text;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { toast.text = ""; paintStanding(); }, 2500);
  paintStanding();
}

function paint() {
  $("language").textContent = say("other_language");
  paintStanding();
  ({ rounds: paintRounds, list: paintList, check: paintCheck, form: paintForm, look: paintWho }[screen()] ?? (() => {}))();
}

function paintStanding() {
  const line = $("standing");
  const count = session?.waiting ?? 0;
  let text = "";
  if (session?.clockOff) text = say("sync.clock", { seconds: Math.round(Math.abs(session.skewMs) / 1000) });
  else if (session && !session.clockTrusted) text = say("sync.device_clock");
  line.classList.toggle("warns", text !== "" && !toast.text);
  line.classList.toggle("says", Boolean(toast.text));
  if (!text && session) text = session.connected ? say(count ? "sync.waiting" : "sync.done", { count }) : say("sync.offline", { count });
  line.textContent = toast.text || text;
  line.dataset.waiting = String(count);
}

// --- signing in and out

const entering = [$("enter"), $("passkey"), $("new-passkey")];

// One try at a time: two at once would count as one.
async function enter(begin) {
  if ($("enter").disabled) return;
  $("lock-problem").textContent = "";
  for (const each of entering) each.disabled = true;
  try {
    session = await begin($("number").value.trim());
  } catch (error) {
    $("lock-problem").textContent = problem(error.message);
    return;
  } finally {
    $("pin").value = $("passkey-code").value = "";
    for (const each of entering) each.disabled = false;
  }
  $("passkey-form").hidden = true;
  touchedMs = Date.now();
  watchPosition();
  await resume();
  session.sync();
}

const byPasskey = (number) => {
  if (!number) throw new Error("number_missing");
  return Session.beginByPasskey(number, paintSoon);
};

$("lock-form").onsubmit = (event) => {
  event.preventDefault();
  const pin = $("pin").value;
  enter((number) => Session.begin(number, pin, paintSoon));
};
$("passkey").onclick = () => enter(byPasskey);
$("new-passkey").onclick = () => { $("passkey-form").hidden = !$("passkey-form").hidden; };
$("passkey-form").onsubmit = (event) => {
  event.preventDefault();
  const code = $("passkey-code").value;
  enter(async (number) => {
    if (!number) throw new Error("number_missing");
    await setUp(number, code);
    return byPasskey(number);
  });
};
$("passkey").hidden = $("new-passkey").hidden = !possible();

// Where the page was when it was closed: at the bed in hand, if one was.
async function resume() {
  const draft = await session.lastDraft();
  const kept = draft && await session.list(draft.sheet_id);
  const bed = kept?.sheet.checks.find((each) => each.check_id === draft.form.check_id);
  if (!bed) { show("rounds"); return; }
  [list, check, form] = [kept, bed, draft.form];
  pictures = { frames: [], photograph: null };
  if (form.face === "kept") form.face = null;
  if (form.choice) show("form"); else show("check");
}

function lock() {
  stopLook();
  session?.end();
  session = list = round = check = form = pictures = null;
  for (const id of ["rounds", "stuck", "list", "known", "leaves"]) $(id).replaceChildren();
  for (const each of document.querySelectorAll(".who, .where, #institution, #earlier, #next")) each.textContent = "";
  $("photograph-shown").removeAttribute("src");
  $("search").value = "";
  show("lock");
}

// --- rounds

function paintRounds() {
  const cards = session.rounds.map((each) => {
    const stands = session.standing(each);
    const kept = session.lists.get(each.sheet_id);
    const card = button("", () => openRound(each), "card");
    card.dataset.key = each.sheet_id;
    card.dataset.round = stands;
    card.append(element("b", kept?.sheet.institution_name ?? say("rounds.hidden")), element("span", say(`rounds.${stands}`)));
    const when = stands === "not_due" ? say("rounds.due_at", { time: clock(each.due_at) }) : say("rounds.closes_at", { time: clock(each.closes_at) });
    card.append(element("span", when));
    if (kept) {
      const answered = Object.keys(kept.answers).length;
      card.append(element("span", say("rounds.answered", { answered, total: kept.sheet.checks.length })));
    }
    return card;
  });
  repaint($("rounds"), cards.length ? cards : [element("p", say("rounds.none"))]);
  const stuck = session.stuck.length ? element("div", "", "card bad") : null;
  if (stuck) {
    stuck.append(element("b", say("stuck.title", { count: session.stuck.length })));
    stuck.append(element("span", say("stuck.text", { problem: [...new Set(session.stuck)].map(problem).join(" ") })));
  }
  $("stuck").replaceChildren(...(stuck ? [stuck] : []));
}

async function openRound(wanted, typed = null) {
  const told = typed === null ? "rounds-problem" : "code-problem";
  $(told).textContent = "";
  try {
    list = await session.open(wanted, typed);
  } catch (error) {
    round = wanted;
    if (typed === null && ["offline", "central_away", "central_refused", "wrong_code"].includes(error.message)) {
      $("code").value = $("code-problem").textContent = "";
      show("code");
    } else {
      $(told).textContent = problem(error.message);
    }
    return;
  }
  show("list");
}

$("code-form").onsubmit = (event) => { event.preventDefault(); openRound(round, $("code").value); };
$("fetch").onclick = async () => {
  const answer = await session.loadRounds(true);
  $("rounds-problem").textContent = answer.ok ? "" : problem(answer.value.problem);
  if (answer.ok) toast(say("rounds.fetched"));
  paint();
};

// --- the list

const openChecks = () => [...byWard(list.sheet.checks).values()].flat().filter((each) => !list.answers[each.check_id] || needsAnother(list.answers[each.check_id]));
const needsAnother = (answer) => answer.state === "done" && answer.result === "unanswered" && !["late", "clock_untrusted"].includes(answer.why);

function standingOf(answer) {
  if (!answer) return ["open", say("list.open")];
  if (answer.state === "waiting") return answer.frames ? ["waiting", say("list.kept")] : ["waiting", say("list.waiting")];
  if (answer.why === "late") return ["look", say("list.late")];
  if (answer.result === "unanswered") return ["look", say(needsAnother(answer) ? "list.second_look" : "result.unanswered")];
  return [["absent", "identity_mismatch", "refused"].includes(answer.result) ? "done missed" : "done", say(`result.${answer.result}`)];
}

function paintList() {
  const checks = list.sheet.checks;
  const open = openChecks();
  const answered = checks.length - open.length;
  $("institution").textContent = list.sheet.institution_name;
  $("progress").textContent = say("list.progress", { answered, total: checks.length });
  $("meter").style.width = `${100 * answered / checks.length}%`;
  const closed = now() > Date.parse(list.sheet.closes_at);
  $("closes").textContent = closed ? say("list.closed") : say("list.closes", { time: clock(list.sheet.closes_at) });
  $("next").textContent = open.length ? say("list.next", { bed: open[0].bed, name: open[0].surname }) : say("list.finished");
  $("next").disabled = !open.length;
  const wanted = $("search").value.trim();
  const parts = [];
  for (const [ward, beds] of byWard(checks.filter((each) => matches(each, wanted)))) {
    parts.push(element("h2", ward || say("list.no_ward")), ...beds.map(bedRow));
  }
  repaint($("list"), parts.length ? parts : [element("p", say("list.nobody"))]);
}

function bedRow(each) {
  const [kind, text] = standingOf(list.answers[each.check_id]);
  const row = button("", () => takeBed(each), "bed");
  row.dataset.key = row.dataset.check = each.check_id;
  row.dataset.state = kind.split(" ")[0];
  const name = element("span", "", "name");
  name.append(element("b", each.surname), element("span", each.masked_number));
  if (each.purpose === "dialysis") name.append(element("span", say("list.dialysis")));
  if (each.away.length) name.append(element("span", say("list.leave")));
  row.append(element("span", each.bed, "number"), name, element("span", text, `tag ${kind}`));
  return row;
}

$("next").onclick = () => { const open = openChecks(); if (open.length) takeBed(open[0]); };
$("search").oninput = paintList;

// --- one bed

function takeBed(each) {
  check = each;
  pictures = { frames: [], photograph: null };
  form = { check_id: each.check_id, choice: null, identifiers: [], reason: null, patient_word: null, witness: "", face: null, look_id: null, confirmed: false };
  show("check");
}

function paintWho() {
  for (const each of document.querySelectorAll(".who")) each.textContent = `${check.surname} ${check.masked_number}`;
  const where = say(check.bed ? "check.where" : "check.where_none", { ward: check.ward, bed: check.bed });
  for (const each of document.querySelectorAll(".where")) each.textContent = where;
}

function leaveCards() {
  const covers = new Set(covering(list.sheet, check, now()));
  return check.away.map((away) => {
    const card = element("div", "", "card");
    const until = away.returned_at ?? away.due_back_at;
    card.append(element("b", say("leave.text", { kind: say(`leave.${away.kind}`), from: clock(away.left_at), to: until ? clock(until) : say("leave.until_unknown") })));
    const prior = Date.parse(away.recorded_at) <= Date.parse(list.sheet.drawn_at);
    card.append(element("span", [say(prior ? "leave.prior" : "leave.late"), covers.has(away) ? say("leave.covers") : ""].filter(Boolean).join(" · ")));
    return card;
  });
}

function paintCheck() {
  paintWho();
  $("known").replaceChildren(...leaveCards());
  const before = list.answers[check.check_id];
  const result = before && (before.result ? say(`result.${before.result}`) : say(`choice.${before.choice}`));
  const why = before?.why && known(`why.${before.why}`) ? ` · ${say(`why.${before.why}`)}` : "";
  $("earlier").textContent = before ? say("check.earlier", { answer: result + why, time: clock(before.at) }) : say("check.bed_is_no_identifier");
  $("choices").replaceChildren(...CHOICES.map((choice) => {
    const tile = button(say(`choice.${choice}`), () => choose(choice), { present: "go wide", mismatch: "last" }[choice] ?? "");
    tile.dataset.choice = choice;
    return tile;
  }));
}

function choose(choice) {
  Object.assign(form, { choice, reason: null, face: null, look_id: null, confirmed: false });
  pictures = { frames: [], photograph: null };
  keepDraft();
  if (choice === "present") look();
  else show("form");
}

const keepDraft = () => session.draft({ sheet_id: list.sheet_id, form });

// --- looking

function stopLook() {
  lookNumber += 1;
  camera.stop();
  document.body.dataset.usable = "no";
}

async function look(mode = "face") {
  document.body.dataset.mode = mode;
  $("shutter").hidden = mode === "face";
  $("no-face").hidden = mode !== "face";
  show("look");
  const mine = ++lookNumber;
  $("guidance").textContent = say("look.starting");
  try {
    if (!await camera.start() || mine !== lookNumber) return;
  } catch {
    if (mine !== lookNumber) return;
    Object.assign(form, { face: "camera_fault", reason: mode === "face" ? "camera_fault" : form.reason });
    show("form");
    return;
  }
  $("guidance").textContent = say(mode === "face" ? "look.face" : "look.photograph");
  if (mode === "face") await lookAtFace(mine);
}

const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, Math.max(0, milliseconds)); });

// The device looks as long as it can be reached; else pictures are taken for it to look at later.
async function lookAtFace(mine) {
  const begun = await session.ask("/api/looks", { sheet_id: list.sheet_id, check_id: check.check_id });
  if (mine !== lookNumber) return;
  const frames = [];
  let answer = begun;
  while (answer.ok && !answer.value.verdict && mine === lookNumber) {
    const blob = await camera.take();
    if (!blob) { await wait(50); continue; }
    frames.push({ at: performance.now(), blob });
    if (frames.length > KEPT_FRAMES) frames.shift();
    answer = await call(`/api/looks/${begun.value.look_id}/frames`, blob, "image/jpeg");
    if (mine !== lookNumber) return;
    if (answer.ok && !answer.value.verdict) guide(answer.value.guidance);
  }
  if (mine !== lookNumber) return;
  if (answer.ok) {
    ended(answer.value, frames);
  } else if (await keepFrames(mine)) {
    form.face = "kept";
    show("form");
  }
}

function guide(code) {
  const words = known(`guidance.${code}`) ? `guidance.${code}` : "look.face";
  $("guidance").textContent = say(code ? words : "look.ready");
  document.body.dataset.usable = code ? "no" : "yes";
}

function ended(found, frames) {
  form.face = found.verdict;
  form.look_id = found.look_id;
  const without = ["no_reference", "enrol_again"].includes(found.verdict);
  if (found.verdict !== "match") form.reason = without ? "no_reference" : "face_not_verified";
  pictures.frames = found.verdict === "match" ? frames : [];
  keepDraft();
  show("form");
}

async function keepFrames(mine) {
  const frames = [];
  while (frames.length < KEPT_FRAMES && mine === lookNumber) {
    const began = performance.now();
    const blob = await camera.take();
    if (blob) frames.push({ at: began, blob });
    $("guidance").textContent = say("look.kept", { count: frames.length, wanted: KEPT_FRAMES });
    await wait(KEPT_EVERY_MS - (performance.now() - began));
  }
  if (mine !== lookNumber) return false;
  pictures.frames = frames;
  return true;
}

$("no-face").onclick = () => {
  Object.assign(form, { face: null, look_id: null });
  pictures.frames = [];
  show("form");
};
$("shutter").onclick = async () => {
  const blob = await camera.take(1280, 0.8);
  if (!blob) return;
  pictures.photograph = blob;
  show("form");
};
$("photograph").onclick = () => look("photograph");
$("again").onclick = () => { form.choice === "present" ? look() : show("check"); };

// --- what the answer needs

const verified = () => form.choice === "present" && (form.face === "match" || form.face === "kept");
const named = () => form.identifiers.length >= 2 && form.identifiers.some((each) => UNIQUE.includes(each));
const covered = () => covering(list.sheet, check, now()).length > 0;

function paintForm() {
  paintWho();
  const { choice } = form;
  const vouched = (choice === "present" && form.face !== "match") || choice === "cannot_be_asked";
  const part = (id, wanted) => { $(id).hidden = !wanted; };
  $("chosen").textContent = say(`choice.${choice}`);
  paintVerdict();
  $("leaves").replaceChildren(...(["away", "absent"].includes(choice) ? leaveCards() : []));
  part("photograph-part", choice === "away" && !covered());
  part("identifiers-part", ["present", "cannot_be_asked"].includes(choice));
  part("reasons-part", vouched || choice === "mismatch");
  part("witness-part", vouched);
  part("word-part", choice === "present");
  part("confirm-part", ["absent", "mismatch", "refused"].includes(choice));
  part("again", choice === "present" || choice !== "away");
  $("again").textContent = say(choice === "present" ? "form.again" : "back");
  $("reasons-title").textContent = say(choice === "mismatch" ? "form.mismatch_reason" : "form.reason");
  $("confirm-text").textContent = say(known(`confirm.${choice}`) ? `confirm.${choice}` : "form.save");
  $("confirm").checked = form.confirmed;
  $("photograph").textContent = say(pictures.photograph ? "form.photograph_again" : "form.photograph");
  if (pictures.photograph) $("photograph-shown").src = URL.createObjectURL(pictures.photograph);
  else $("photograph-shown").removeAttribute("src");
  $("photograph-shown").alt = say("form.photograph_alt");
  if (document.activeElement !== $("witness")) $("witness").value = form.witness;
  $("form-problem").textContent = "";
  toggles("identifiers", "identifier", IDENTIFIERS, (value) => form.identifiers.includes(value), (value) => {
    form.identifiers = form.identifiers.includes(value) ? form.identifiers.filter((each) => each !== value) : [...form.identifiers, value];
  });
  toggles("reasons", "reason", REASONS[choice] ?? [], (value) => form.reason === value, (value) => { form.reason = form.reason === value ? null : value; });
  toggles("word", "word", ["yes", "no", "unclear"], (value) => form.patient_word === value, (value) => { form.patient_word = form.patient_word === value ? null : value; });
}

function paintVerdict() {
  const line = $("verdict");
  let text = form.choice === "present" && form.face ? say(`verdict.${form.face}`) : "";
  if (form.choice === "away") text = say(covered() ? "form.away_basis" : "form.away_none");
  line.textContent = text;
  const good = form.face === "match" || (form.choice === "away" && covered());
  line.className = `verdict ${good ? "good" : "wait"}`;
  line.dataset.face = form.face ?? "";
}

function toggles(box, kind, values, chosen, toggle) {
  $(box).replaceChildren(...values.map((value) => {
    const each = button(say(`${kind}.${value}`), () => {
      toggle(value);
      keepDraft();
      $("form-problem").textContent = "";
      for (const other of $(box).children) other.setAttribute("aria-pressed", String(chosen(other.dataset.value)));
    });
    each.dataset.value = value;
    each.setAttribute("aria-pressed", String(chosen(value)));
    return each;
  }));
}

$("confirm").onchange = () => { form.confirmed = $("confirm").checked; $("form-problem").textContent = ""; };
$("witness").oninput = () => { form.witness = $("witness").value; };

// What is still missing; null when it can be saved.
function missing(witness) {
  const { choice } = form;
  if (["present", "cannot_be_asked"].includes(choice) && !named()) return "choose_identifiers";
  if (choice === "cannot_be_asked" || (choice === "present" && !verified())) {
    if (!form.reason) return "choose_reason";
    if (!witness) return "need_witness";
  }
  if (choice === "mismatch" && !form.reason) return "choose_reason";
  if (["absent", "mismatch", "refused"].includes(choice) && !form.confirmed) return "confirm_first";
  if (choice === "away" && !covered() && !pictures.photograph) return "photograph_first";
  return null;
}

async function witnessed() {
  const [number, pin] = [$("witness").value.trim(), $("witness-pin").value];
  if ($("witness-part").hidden || !number || !pin) return null;
  if (number === session.number) throw new Error("witness_self");
  const answer = await session.ask("/api/witness", { number, pin });
  if (!answer.ok && answer.status !== 0) throw new Error(answer.value.problem ?? "fault");
  return { number, pin };
}

$("form").onsubmit = async (event) => {
  event.preventDefault();
  $("save").disabled = true;
  try {
    const witness = await witnessed();
    const lacks = missing(witness);
    if (lacks) throw new Error(lacks);
    const said = {
      choice: form.choice, identifiers: form.identifiers, reason: witness || form.choice === "mismatch" ? form.reason ?? "face_not_verified" : null,
      witness, confirmed: form.confirmed, patient_word: form.patient_word, look_id: form.look_id, position: recentPosition(),
    };
    await session.answer(list, check, said, pictures);
    toast(say("toast.saved", { name: check.surname, answer: say(`choice.${form.choice}`) }));
    form = check = pictures = null;
    $("witness-pin").value = "";
    show("list");
  } catch (error) {
    $("form-problem").textContent = problem(error.message);
    $("form-problem").scrollIntoView({ block: "center" });
  } finally {
    $("save").disabled = false;
  }
};

// --- where, and the rest

function watchPosition() {
  if (watchPosition.begun || !navigator.geolocation) return;
  watchPosition.begun = true;
  navigator.geolocation.watchPosition(({ coords, timestamp }) => {
    position = { latitude: coords.latitude, longitude: coords.longitude, accuracy_m: coords.accuracy, taken_ms: Math.round(timestamp) };
  }, () => {}, { maximumAge: 60_000, timeout: 30_000 });
}

const recentPosition = () => (position && Date.now() - position.taken_ms < 10 * 60_000 ? position : null);

function paintSoon() {
  if (paintSoon.asked || !session) return;
  paintSoon.asked = true;
  requestAnimationFrame(() => {
    paintSoon.asked = false;
    if (!session) return;
    if (session.over) {  // what waits stays here, and goes once the inspector is signed in again
      lock();
      $("lock-problem").textContent = problem("not_signed_in");
      return;
    }
    paintStanding();
    if (screen() === "rounds") paintRounds();
    if (screen() === "list") paintList();
  });
}

$("back").onclick = () => {
  const to = { code: "rounds", list: "rounds", check: "list", look: "check", form: "check" }[screen()];
  if (to === "list") session.draft(null);
  if (to) show(to);
};
$("leave").onclick = () => { lock(); toast(say("toast.locked")); };
$("language").onclick = () => speakOther().then(paint);
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { touchedMs = Date.now(); });

setInterval(() => {
  if (!session) return;
  if (Date.now() - touchedMs > IDLE_MS) { lock(); return; }
  session.sync();
}, 4000);
setInterval(() => { if (session && ["rounds", "list"].includes(screen())) session.loadRounds().then(paintSoon); }, 30_000);
addEventListener("online", () => session?.sync());

await speak();
try {
  await openVault();
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("/worker.js");
  $("number").value = await meta("last number") ?? "";
} catch {
  $("lock-problem").textContent = problem("storage");
}
show("lock");
