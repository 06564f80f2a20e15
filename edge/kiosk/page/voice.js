// Speaks catalogue keys with the clips that the agent serves: one at a time, never a queue of old guidance.
import { language, settings } from "/static/words.js";

const AGAIN_MS = 5000;   // the same sentence is not said again sooner

export class Voice {
  constructor(audio) {
    this.audio = audio;
    this.waiting = [];
    this.muted = !settings.sound;
    this.said = { key: "", at: -Infinity };
    this.blocked = false;
    this.kept = new Map();
    audio.onended = audio.onerror = () => this.next();
    // Without the browser's leave to play unasked, the first touch or key gives it.
    for (const kind of ["pointerdown", "keydown"]) {
      addEventListener(kind, () => { if (this.blocked) { this.blocked = false; this.next(); } }, true);
    }
  }

  has(key) { return Boolean(settings.voices[language()]?.includes(key)); }

  get possible() { return Boolean(settings.voices[language()]?.length); }

  // A new screen: what was being said no longer matters.
  tell(keys) {
    this.hush();
    this.waiting = keys.filter((key) => this.has(key));
    this.next();
  }

  // Guidance: waits for the sentence that is being said; only the newest is worth saying after it.
  guide(key) {
    if (!this.has(key) || this.audio.dataset.key === key) { this.waiting = []; return; }
    if (this.said.key === key && performance.now() - this.said.at < AGAIN_MS) { this.waiting = []; return; }
    this.waiting = [key];
    if (!this.audio.dataset.key) this.next();
  }

  // What is to be said while the agent is away must be here before.
  async keep(keys) {
    const code = language();
    await Promise.all(keys.filter((key) => this.has(key)).map(async (key) => {
      const answer = await fetch(`/voices/${code}/${key}`).catch(() => null);
      if (answer?.ok) this.kept.set(`${code}/${key}`, URL.createObjectURL(await answer.blob()));
    }));
  }

  mute(muted) {
    this.muted = muted;
    if (muted) this.hush();
  }

  hush() {
    this.waiting = [];
    this.audio.pause();
    delete this.audio.dataset.key;
  }

  next() {
    delete this.audio.dataset.key;
    const key = this.waiting.shift();
    if (!key || this.muted) { this.waiting = []; return; }
    this.audio.dataset.key = key;
    this.said = { key, at: performance.now() };
    const clip = `${language()}/${key}`;
    this.audio.src = this.kept.get(clip) ?? `/voices/${clip}`;
    this.audio.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      this.blocked = true;
      this.waiting.unshift(key);
      this.said = { key: "", at: -Infinity };
      delete this.audio.dataset.key;
    });
  }
}
