// What makes the kiosk easier for one person: larger type, lower controls, left hand, one switch, sound.
// The site's own choice (`kiosk.comfort`, `kiosk.sound`) comes back when nobody has stirred for a minute.
import { put, settings } from "/static/words.js";

const MODES = ["larger", "low", "left", "switch"];
const root = document.documentElement;

export class Comfort {
  constructor(dialog, voice, onStep) {
    this.dialog = dialog;
    this.voice = voice;
    this.onStep = onStep;
    this.at = null;
    for (const mode of [...MODES, "sound"]) {
      dialog.querySelector(`[data-mode=${mode}]`).onclick = () => this.set(mode, !this.has(mode));
    }
    dialog.querySelector(".close").onclick = () => dialog.close();
    setInterval(() => this.step(), settings.switch_seconds * 1000);
    this.reset();
  }

  has(mode) { return mode === "sound" ? !this.voice.muted && this.voice.possible : root.classList.contains(mode); }

  set(mode, on) {
    if (mode === "sound") this.voice.mute(!on);
    else root.classList.toggle(mode, on);
    this.paint();
  }

  reset() {
    for (const mode of MODES) root.classList.toggle(mode, settings.comfort.includes(mode));
    this.voice.mute(!settings.sound);
    this.paint();
  }

  paint() {
    for (const button of this.dialog.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", String(this.has(button.dataset.mode)));
    }
    const sound = this.dialog.querySelector("[data-mode=sound]");
    sound.disabled = !this.voice.possible;
    put(sound, this.voice.possible ? "comfort.sound" : "comfort.no_sound");
    if (!this.has("switch")) this.leave();
  }

  // One switch: the mark goes from control to control; Enter or space (the switch) presses where it is.
  step() {
    if (!this.has("switch") || ["asleep", "done"].includes(document.body.dataset.screen)) { this.leave(); return; }
    if (document.activeElement.matches("input") && document.activeElement.value) return;
    const within = document.querySelector("dialog[open]") ?? document;
    const controls = [...within.querySelectorAll("button:not(:disabled)")].filter((each) => each.checkVisibility({ checkVisibilityCSS: true }));
    if (!controls.length) return;
    const next = controls[(controls.indexOf(this.at) + 1) % controls.length];
    this.leave();
    this.at = next;
    next.classList.add("pointed");
    next.focus();
    this.onStep(next);
  }

  leave() {
    this.at?.classList.remove("pointed");
    if (!this.has("switch")) this.at = null;
  }
}

