// When liveness did not show by itself: the movement asked for, and soft colours around the oval, one after the
// other. The agent draws both anew for each attempt; each colour is reported when it has been painted, so that
// the agent knows which frames it can show in. At most 2.5 changes a second, of like brightness, no saturated
// red (WCAG 2.2, 2.3.1), and none for whoever has asked their device for less motion, or for colours of their own.
const ARROWS = { turn_left: "←", turn_right: "→", nod: "↕", come_nearer: "⤢" };
const calm = matchMedia("(prefers-reduced-motion: reduce), (forced-colors: active)");
let running = "";
let labelled = "";

const tell = (path, body) => fetch(path, {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
}).catch(() => null);

export function show(screen) {
  const asked = screen.screen === "looking" ? screen.challenge : null;
  if (screen.screen === "looking") nameCamera();
  if (!asked) { stop(); return; }
  if (asked.nonce === running) return;
  stop();
  running = asked.nonce;
  const arrow = document.createElement("span");
  arrow.textContent = ARROWS[asked.movement] ?? "";
  arrow.setAttribute("aria-hidden", "true");
  document.getElementById("challenge")?.replaceChildren(arrow);
  if (!calm.matches) paint(asked, 0);
}

function stop() {
  running = "";
  document.getElementById("challenge")?.replaceChildren();
  fill("");
}

function paint(asked, step) {
  if (running !== asked.nonce) return;
  if (step >= asked.colours.length) { fill(""); return; }
  fill(asked.colours[step]);
  requestAnimationFrame(() => requestAnimationFrame(() => {
    if (running === asked.nonce) tell("/kiosk/painted", { nonce: asked.nonce, step });
  }));
  setTimeout(() => paint(asked, step + 1), asked.step_ms);
}

// The whole page around the oval shines: the more of the screen, the more light on the face.
function fill(colour) {
  const oval = document.getElementById("oval");
  if (oval) oval.style.boxShadow = colour ? `0 0 0 100vmax ${colour}` : "";
  document.body.style.background = colour;
}

// The camera's name is a weak sign: a program that calls itself a virtual camera is believed.
function nameCamera() {
  const label = document.getElementById("video")?.srcObject?.getVideoTracks?.()[0]?.label ?? "";
  if (!label || label === labelled) return;
  labelled = label;
  tell("/kiosk/camera", { state: "up", label: label.slice(0, 200) });
}
