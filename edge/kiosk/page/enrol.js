// Live enrolment: a witness begins it, the camera gives frames until there are enough good ones.
import { Camera } from "/static/camera.js";
import { act, ask, isAway, setAway } from "/static/link.js";
import { known, put, say, settings, speak, speakOther } from "/static/words.js";

const $ = (id) => document.getElementById(id);
const camera = new Camera($("video"));
const OWN_EVERY_MS = 200;
const PAUSE_MS = 1_000;         // between frames while the agent does not answer
const ASK_EVERY_MS = 3_000;
let waiting = false;
let counted = {};

function progress(answer) {
  counted = answer;
  $("count").textContent = `${say("enrol.count")} ${answer.accepted ?? 0} / ${answer.wanted ?? 3}`;
  put($("guidance"), answer.guidance ? `guidance.${answer.guidance}` : "guidance.ready");
  document.body.dataset.usable = answer.guidance ? "no" : "yes";
}

function go(screen) {
  document.body.dataset.screen = screen;
  document.querySelector("main").scrollTop = 0;
  document.querySelector(`section[data-for=${screen}] h1`)?.focus();
}

function stop() {
  camera.stop();
  $("preview").hidden = true;
  $("preview").removeAttribute("src");
}

// What went wrong is said beside the button, and what was typed is still there, but for the PIN.
function fail(problem) {
  stop();
  go("form");
  put($("problem"), known(`problem.${problem}`) ? `problem.${problem}` : "problem.fault");
  $("problem").scrollIntoView({ block: "nearest" });
}

async function take(blob) {
  waiting = true;
  const answer = await ask("/enrol/frame", blob);
  if (document.body.dataset.screen !== "looking") { waiting = false; return; }
  setAway(answer.problem === "offline");
  if (isAway()) { put($("guidance"), "link.away"); setTimeout(() => { waiting = false; }, PAUSE_MS); return; }
  waiting = false;
  if (!answer.ok) { fail(answer.problem === "wrong_moment" ? "enrol_again" : answer.problem); return; }
  progress(answer);
  if (answer.done) { stop(); go("done"); }
}

// The agent has the camera: it shows what it sees, and takes its own frame whenever it is asked to.
function useAgentsCamera() {
  $("preview").hidden = false;
  $("preview").src = `/kiosk/preview?${Date.now()}`;
  const timer = setInterval(() => {
    if (document.body.dataset.screen !== "looking") clearInterval(timer);
    else if (!waiting) take(new Blob([]));
  }, OWN_EVERY_MS);
}

$("form").onsubmit = async (event) => {
  event.preventDefault();
  put($("problem"), "");
  const answer = await act("/enrol/begin", {
    person_id: $("person").value, surname: $("surname").value, card_number: $("card").value,
    witness_id: $("witness").value, pin: $("pin").value, consented: $("consented").checked,
    guardian: $("guardian").value || null,
    cannot: [...document.querySelectorAll("#cannot input:checked")].map((box) => box.value),
  });
  if (answer.problem === "offline") { setAway(true); fail("offline"); return; }
  $("pin").value = "";
  if (!answer.ok) { fail(answer.problem); return; }
  waiting = false;
  go("looking");
  progress(answer);
  if (settings.camera === "agent") { useAgentsCamera(); return; }
  camera.start(5, () => !waiting, take).catch(() => { put($("guidance"), "camera_failed"); });
};
$("back").onclick = () => { stop(); go("form"); };
$("language").onclick = () => { speakOther(); progress(counted); };

// Nothing comes by itself on this page: it asks now and then whether the agent is there.
async function look() {
  const answer = await fetch("/kiosk/state").catch(() => null);
  if (document.body.dataset.screen !== "looking") setAway(!answer?.ok);
  setTimeout(look, ASK_EVERY_MS);
}

speak();
await look();
