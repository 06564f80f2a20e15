// Live enrolment: a witness begins it, the camera gives frames until there are enough good ones.
import { Camera } from "/static/camera.js";
import { known, say, settings, speak, speakOther } from "/static/words.js";

const $ = (id) => document.getElementById(id);
const camera = new Camera($("video"));
let waiting = false;

async function post(path, body, type) {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": type }, body });
  return { ok: answer.ok, ...(await answer.json()) };
}

function progress(answer) {
  $("count").textContent = `${say("enrol.count")} ${answer.accepted ?? 0} / ${answer.wanted ?? 3}`;
  $("guidance").textContent = say(answer.guidance ? `guidance.${answer.guidance}` : "guidance.ready");
  document.body.dataset.usable = answer.guidance ? "no" : "yes";
}

function fail(answer) {
  camera.stop();
  document.body.dataset.screen = "consent";
  $("problem").textContent = say(known(`problem.${answer.problem}`) ? `problem.${answer.problem}` : "problem.fault");
}

async function take(blob) {
  waiting = true;
  const answer = await post("/enrol/frame", blob, "image/jpeg").finally(() => { waiting = false; });
  if (!answer.ok) { fail(answer); return; }
  progress(answer);
  if (answer.done) { camera.stop(); $("preview").hidden = true; document.body.dataset.screen = "done"; }
}

// The agent has the camera: it shows what it sees, and takes its own frame whenever it is asked to.
function useAgentsCamera() {
  $("preview").hidden = false;
  $("preview").src = `/kiosk/preview?${Date.now()}`;
  const timer = setInterval(() => {
    if (document.body.dataset.screen !== "looking") clearInterval(timer);
    else if (!waiting) take("");
  }, 200);
}

$("form").onsubmit = async (event) => {
  event.preventDefault();
  const answer = await post("/enrol/begin", JSON.stringify({
    person_id: $("person").value, surname: $("surname").value, card_number: $("card").value,
    witness_id: $("witness").value, pin: $("pin").value, consented: $("consented").checked,
    cannot: [...document.querySelectorAll("#cannot input:checked")].map((box) => box.value),
  }), "application/json");
  $("pin").value = "";
  if (!answer.ok) { fail(answer); return; }
  document.body.dataset.screen = "looking";
  progress(answer);
  if (settings.camera === "agent") { useAgentsCamera(); return; }
  camera.start(5, () => !waiting, take).catch(() => { $("guidance").textContent = say("camera_failed"); });
};
$("language").onclick = () => speakOther();
await speak();
