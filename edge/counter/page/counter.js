// The counter: the clerk names patient, buyer and account; the buyer looks, or is identified in another way.
import { PageCamera } from "/shared/camera.js";

const LANGUAGES = ["zh", "en"], KEPT = "counter-language";
const RELATIONS = ["self", "spouse", "child", "parent", "sibling", "grandchild", "grandparent", "guardian", "other"];
const BASES = ["relative", "family_account", "guardian", "not_shown"];
const HOLDERS = ["patient", "buyer", "another"];
const WAYS = ["face", "document", "card_pin", "nhsa_terminal", "witness", "none"];
const PATIENCE_MS = 20_000, NO_PICTURE_MS = 1_500, NEXT_MS = 8_000;
const at = (id) => document.getElementById(id);
const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
const camera = new PageCamera(at("video"));
let words = {};
let purchase = null;   // what is being entered
let looking = null;    // names the look that goes on
let timer = 0;

const say = (key) => words[key] ?? key;

async function speak(code) {
  localStorage.setItem(KEPT, code);
  words = await (await fetch(`/static/catalogue/${code}.json`)).json();
  document.documentElement.lang = words.language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
}

const spoken = () => (LANGUAGES.includes(localStorage.getItem(KEPT)) ? localStorage.getItem(KEPT) : LANGUAGES[0]);

function show(screen) {
  document.body.dataset.screen = screen;
  document.querySelector(`section[data-for=${screen}] h1`)?.focus();
}

async function call(path, body, type = "application/json") {
  const control = new AbortController();
  const over = setTimeout(() => control.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(path, body === undefined ? { signal: control.signal } : {
      method: "POST", signal: control.signal, headers: { "content-type": type },
      body: type === "application/json" ? JSON.stringify(body) : body,
    });
    const value = await answer.json();
    if (answer.status === 401 && path !== "/api/sign-in") lock();
    return { ok: answer.ok, value };
  } catch {
    return { ok: false, value: { problem: "device_away" } };
  } finally {
    clearTimeout(over);
  }
}

const problemOf = (value) => say(`problem.${value.missing ?? value.problem}`);

function lock() {
  stopLook();
  purchase = null;
  for (const id of ["number", "pin"]) at(id).value = "";
  show("lock");
  at("number").focus();
}

function begin() {
  clearTimeout(timer);
  purchase = {
    id: crypto.randomUUID(), people: {}, relation: "self", basis: "self", holder: "patient", look: null, way: null,
  };
  for (const input of document.querySelectorAll("section[data-for=purchase] input, #entry-form input")) input.value = "";
  at("papers").checked = false;
  for (const id of ["problem", "verdict", "patient-found", "buyer-found", "holder-found", "entry-problem"]) at(id).textContent = "";
  paint();
  show("purchase");
  at("patient").focus();
}

function options(box, kind, names, chosen, choose) {
  box.replaceChildren(...names.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.choice = name;
    button.setAttribute("aria-pressed", String(name === chosen));
    button.textContent = say(`${kind}.${name}`);
    button.onclick = () => { choose(name); paint(); at(box.id).querySelector(`[data-choice=${name}]`)?.focus(); };
    return button;
  }));
}

function paint() {
  const own = purchase.relation === "self";
  options(at("relations"), "relation", RELATIONS, purchase.relation, (name) => {
    purchase.relation = name;
    purchase.basis = name === "self" ? "self" : name === "guardian" ? "guardian" : name === "other" ? "not_shown" : "relative";
    if (name === "self" && purchase.holder === "buyer") purchase.holder = "patient";
  });
  options(at("bases"), "basis", BASES, purchase.basis, (name) => {
    purchase.basis = name;
    if (name === "family_account") purchase.holder = "buyer";
  });
  options(at("holders"), "holder", own ? HOLDERS.filter((name) => name !== "buyer") : HOLDERS, purchase.holder, (name) => { purchase.holder = name; });
  at("buyer-part").hidden = own;
  at("basis-part").hidden = own;
  at("holder-part").hidden = purchase.holder !== "another";
  at("papers-text").textContent = say(own ? "purchase.paper_seen" : "purchase.papers_seen");
  for (const who of ["patient", "buyer", "holder"]) paintPerson(who);
  at("ways").replaceChildren(...WAYS.map((way) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.way = way;
    button.textContent = say(`way.${way}`);
    if (way === "face" || way === "none") button.className = way === "face" ? "wide main" : "wide";
    button.onclick = () => choose(way);
    return button;
  }));
}

function paintPerson(who) {
  const person = purchase.people[who];
  const place = at(`${who}-found`);
  const looks = who === (purchase.relation === "self" ? "patient" : "buyer");   // whose face could be asked for
  const notes = !person ? [] : [person.surname === null ? say("purchase.unknown_here")
    : looks ? say(person.face ? "purchase.face" : "purchase.no_face") : ""];
  place.textContent = person ? [`${person.surname ?? ""} ${person.masked}`.trim(), ...notes.filter(Boolean)].join(" · ") : "";
  place.classList.toggle("unknown", Boolean(person) && (person.surname === null || (looks && !person.face)));
}

// What stands in a field names somebody once it was read; a scanner ends with Enter, which submits the form.
async function read(who) {
  const number = at(who).value.trim();
  if (!number) { delete purchase.people[who]; return true; }
  if (purchase.people[who]?.typed === number) return true;
  const mine = purchase;
  const found = await call("/api/people", { number });
  if (mine !== purchase) return false;
  at("problem").textContent = found.ok ? "" : problemOf(found.value);
  if (found.ok) purchase.people[who] = { ...found.value, typed: number };
  else delete purchase.people[who];
  paintPerson(who);
  return found.ok;
}

function needed() {
  const wanted = ["patient"];
  if (purchase.relation !== "self") wanted.push("buyer");
  if (purchase.holder === "another") wanted.push("holder");
  return wanted;
}

async function ready() {
  for (const who of needed()) {
    if (!await read(who)) return false;
    if (!purchase.people[who]) {
      at("problem").textContent = say(`problem.${who}`);
      at(who).focus();
      return false;
    }
  }
  return true;
}

async function choose(way) {
  const mine = purchase;
  at("problem").textContent = "";
  if (!await ready() || mine !== purchase) return;
  purchase.way = way;
  if (way === "face") { await look(); return; }
  if (way === "witness" || way === "nhsa_terminal") { ask(way); return; }
  await record(at("problem"));
}

function ask(way) {
  at("witness-part").hidden = way !== "witness";
  at("terminal-part").hidden = way !== "nhsa_terminal";
  at("entry-title").textContent = say(`way.${way}`);
  at("entry-problem").textContent = "";
  show("entry");
  at(way === "witness" ? "witness" : "reference").focus();
}

async function record(place) {
  const mine = purchase;
  const own = mine.relation === "self";
  const holder = mine.holder === "patient" ? "patient" : mine.holder === "buyer" && !own ? "buyer" : "holder";
  const asked = {
    purchase_id: mine.id, patient: mine.people.patient.person, relation: mine.relation, basis: mine.basis,
    buyer: own ? null : mine.people.buyer.person, holder: mine.people[holder]?.person ?? null,
    papers_seen: at("papers").checked, way: mine.way, look_id: mine.look,
    witness: mine.way === "witness" ? { number: at("witness").value.trim(), pin: at("witness-pin").value } : null,
    terminal_reference: mine.way === "nhsa_terminal" ? at("reference").value.trim() : null,
  };
  const done = await call("/api/purchases", asked);
  if (mine !== purchase) return;
  at("witness-pin").value = "";
  if (!done.ok) {
    place.textContent = problemOf(done.value);
    if (document.body.dataset.screen === "look") { show("purchase"); at("problem").textContent = place.textContent; }
    return;
  }
  document.body.dataset.identified = done.value.identified ? "yes" : "no";
  at("done-title").textContent = say(done.value.identified ? "done.identified" : "done.not_told");
  at("done-text").textContent = say(done.value.identified ? "done.identified_text" : "done.not_told_text");
  show("done");
  at("next").focus();
  timer = setTimeout(begin, NEXT_MS);
}

function fresh() {
  return new Promise((resolve) => {
    const over = setTimeout(resolve, NO_PICTURE_MS);
    camera.video.requestVideoFrameCallback(() => { clearTimeout(over); resolve(); });
  });
}

// Show frames until the device has decided; never the same frame twice: repeats are a sign of a fed-in recording.
async function look() {
  const mine = looking = {};
  const buyer = purchase.people[purchase.relation === "self" ? "patient" : "buyer"].person;
  const begun = await call("/api/looks", { purchase_id: purchase.id, buyer });
  if (mine !== looking) return;
  if (!begun.ok || begun.value.verdict) { ended(begun); return; }
  at("guidance").textContent = say("look.begin");
  show("look");
  try {
    await camera.open({ facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } });
  } catch {
    if (mine === looking) { stopLook(); told("camera_fault"); }
    return;
  }
  const path = `/api/looks/${begun.value.look_id}`;
  let state = begun;
  while (mine === looking && state.ok && !state.value.verdict) {
    await fresh();
    const picture = camera.stream && camera.video.videoWidth ? await camera.picture(640) : null;
    if (!picture) await wait(300);
    if (mine !== looking) return;
    state = picture ? await call(`${path}/frames`, picture, "image/jpeg") : await call(path);
    if (mine === looking && state.value.guidance) at("guidance").textContent = words[`guidance.${state.value.guidance}`] ?? say("look.begin");
  }
  if (mine === looking) ended(state);
}

async function ended(state) {
  stopLook();
  if (!state.ok) { told(state.value.problem); return; }
  purchase.look = state.value.look_id;
  if (state.value.verdict === "match") await record(at("problem"));
  else told(state.value.verdict);
}

function told(code) {
  if (document.body.dataset.screen === "lock") return;
  at("verdict").textContent = words[`verdict.${code}`] ?? say("verdict.not_acquired");
  show("purchase");
}

function stopLook() {
  looking = null;
  camera.stop();
}

at("lock-form").onsubmit = async (event) => {
  event.preventDefault();
  const signed = await call("/api/sign-in", { number: at("number").value.trim(), pin: at("pin").value });
  at("pin").value = "";
  at("lock-problem").textContent = signed.ok ? "" : problemOf(signed.value);
  if (signed.ok) begin();
};
for (const form of document.querySelectorAll("form.scan")) {
  form.onsubmit = (event) => { event.preventDefault(); read(form.dataset.who); };
}
at("entry-form").onsubmit = (event) => { event.preventDefault(); record(at("entry-problem")); };
at("back").onclick = () => show("purchase");
at("other-way").onclick = () => { stopLook(); show("purchase"); };
at("next").onclick = begin;
at("leave").onclick = async () => { await call("/api/sign-out", {}); lock(); };
at("language").onclick = async () => {
  await speak(LANGUAGES[(LANGUAGES.indexOf(spoken()) + 1) % LANGUAGES.length]);
  if (purchase) paint();
};
const asked = new URLSearchParams(location.search).get("lang");
await speak(LANGUAGES.includes(asked) ? asked : spoken());
lock();
