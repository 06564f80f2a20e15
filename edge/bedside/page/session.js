// Who is signed in here, the lists that they opened, and everything about them that is kept.
import { call, SHORT_MS, sync } from "/static/device.js";
import * as passkey from "/static/passkey.js";
import { covering, plainCode, standing, unseal } from "/static/sheet.js";
import {
  dropList, enqueue, lockedBy, makeLock, meta, putMeta, queued, readDraft, readList, sealBytes, sealValue, unlock,
  WrongPin, writeAnswer, writeDraft, writeList,
} from "/static/vault.js";

const TELL_CLOCK_MS = 30_000;
const KEPT_AFTER_CLOSE_MS = 24 * 3_600_000;
const ORDER = ["open", "due", "not_due", "closed"];

export class Session {
  constructor(number, again, key, changed) {
    Object.assign(this, { number, again, key, changed, lists: new Map(), rounds: [], connected: true });
    this.skewMs = 0;
    this.clockTrusted = true;
    this.waiting = 0;
    this.stuck = [];
    this.written = Promise.resolve();
  }

  // Sign in at the device; without it, by the lock kept here. Throws the name of a problem.
  static async begin(number, pin, changed) {
    const again = () => call("/api/sign-in", { number, pin });
    return Session.unlocked(number, await again(), () => pin, { again, changed, by: "pin" });
  }

  // The same by the tablet's passkey: its secret opens the lists as a PIN does.
  static async beginByPasskey(number, changed) {
    const again = null;  // a tablet is not asked without its inspector: the page locks instead
    const { answer, secret } = await passkey.show(number);
    const open = () => secret ?? passkey.secretOf();
    return Session.unlocked(number, answer, open, { again, changed, by: "passkey" });
  }

  static async unlocked(number, answer, secretOf, { again, changed, by }) {
    if (!answer.ok && answer.status !== 0) throw new Error(answer.value.problem ?? "fault");
    const held = await lockedBy(number);
    if (answer.status === 0 && !held) throw new Error("first_offline");
    if (answer.status === 0 && held !== by) throw new Error(`${held}_offline`);
    const secret = await secretOf();
    if (!secret) throw new Error("passkey_away");
    const key = await unlock(number, secret).catch((error) => {
      if (!(error instanceof WrongPin)) throw error;
      if (answer.status === 0) throw new Error(by === "pin" ? "wrong_pin" : "passkey_refused");
      return makeLock(number, secret, by);
    });
    const session = new Session(number, again, key, changed);
    session.hear(answer);
    await putMeta("last number", number);
    await session.count();
    await session.loadRounds();
    return session;
  }

  hear(answer) {
    this.connected = answer.status !== 0;
    if (answer.ok && answer.value.device_ms) {
      this.skewMs = Date.now() - answer.value.device_ms;
      this.clockTrusted = answer.value.clock_trusted;
    }
  }

  get clockOff() { return Math.abs(this.skewMs) > TELL_CLOCK_MS; }

  // Writes follow each other, so that an older state never lies over a newer one.
  inOrder(write) {
    this.written = this.written.then(write, write);
    return this.written;
  }

  async ask(path, body) {
    const attempt = () => call(path, body, undefined, this.connected ? undefined : SHORT_MS);
    let answer = await attempt();
    if (answer.status === 401 && await this.signIn()) answer = await attempt();
    this.connected = answer.status !== 0;
    this.changed();
    return answer;
  }

  async signIn() {
    if (!this.again) {
      this.over = true;
      this.changed();
      return false;
    }
    const answer = await this.again();
    this.hear(answer);
    return answer.ok;
  }

  async loadRounds(fresh = false) {
    const answer = await (fresh ? this.ask("/api/rounds/fetch", {}) : this.ask("/api/rounds"));
    if (answer.ok) {
      this.rounds = answer.value;
      // What lies here unopened is sealed; names and counts of open ones stay in the locked lists.
      const kept = answer.value.map(({ institution_name: _, total: __, answered: ___, ...round }) => round);
      await putMeta("rounds", kept);
    } else if (!this.rounds.length) {
      this.rounds = await meta("rounds") ?? [];
    }
    for (const round of this.rounds) await this.list(round.sheet_id);
    await this.dropOld();
    const place = (round) => ORDER.indexOf(this.standing(round));
    this.rounds.sort((a, b) => place(a) - place(b));
    return answer;
  }

  // Names stay no longer than they are needed: a day after the close, once nothing waits.
  async dropOld() {
    if (this.waiting || this.stuck.length) return;
    for (const [sheetId, list] of this.lists) {
      if (Date.now() - this.skewMs - Date.parse(list.sheet.closes_at) < KEPT_AFTER_CLOSE_MS) continue;
      this.lists.delete(sheetId);
      await dropList(this.number, sheetId);
    }
  }

  standing(round) {
    const stands = standing(round, Date.now() - this.skewMs);
    return stands === "due" && this.lists.get(round.sheet_id) ? "open" : stands;
  }

  // An open list, from memory or from what is kept.
  async list(sheetId) {
    if (!this.lists.has(sheetId)) {
      const kept = await readList(this.key, this.number, sheetId).catch(() => null);
      if (kept) this.lists.set(sheetId, kept);
    }
    return this.lists.get(sheetId) ?? null;
  }

  keep(list) {
    this.lists.set(list.sheet_id, list);
    return this.inOrder(() => writeList(this.key, this.number, list));
  }

  // Open a round: by the device, which asks central; or by a code, at the device or, out of its reach, here.
  async open(round, typed = null) {
    const known = await this.list(round.sheet_id);
    if (known && this.standing(round) !== "open") return known;
    if (this.standing(round) === "not_due") throw new Error("not_due");
    if (!known && this.standing(round) === "closed") throw new Error("closed");
    const code = typed === null ? known?.code ?? null : plainCode(typed);
    if (typed !== null && code === null) throw new Error("code_length");
    const answer = await this.ask(`/api/sheets/${round.sheet_id}/open`, { code });
    if (answer.ok) return this.opened(round, answer.value, code);
    if (known) return known;
    if (answer.status !== 0 || code === null) throw new Error(answer.value.problem ?? "fault");
    const sheet = await unseal(round.sealed, code);
    if (!sheet) throw new Error("wrong_code");
    await enqueue({ number: this.number, frames: [], head: await sealValue({ kind: "open", sheet_id: round.sheet_id, code }) });
    return this.opened(round, { sheet, answers: [] }, code);
  }

  async opened(round, shown, code) {
    const list = this.lists.get(round.sheet_id) ?? { sheet_id: round.sheet_id, answers: {} };
    Object.assign(list, { sheet: shown.sheet, code: code ?? list.code ?? null });
    for (const answer of shown.answers) {
      const mine = list.answers[answer.check_id];
      if (mine?.state !== "waiting" || mine.answer_id === answer.answer_id) list.answers[answer.check_id] = learnt(answer);
    }
    await this.keep(list);
    return list;
  }

  // Keep an answer: first here, encrypted, with its frames; then it is handed over.
  async answer(list, check, said, { frames = [], photograph = null } = {}) {
    const answer = {
      answer_id: crypto.randomUUID(), sheet_id: list.sheet_id, check_id: check.check_id,
      inspector_id: this.number, answered_ms: Date.now(), ...said,
    };
    const item = {
      number: this.number,
      head: await sealValue({ kind: "answer", answer }),
      frames: await Promise.all(frames.map(async ({ at, blob }) => ({ at, sealed: await sealBytes(blob) }))),
      photograph: photograph ? await sealBytes(photograph) : null,
    };
    const before = list.answers[check.check_id];
    list.answers[check.check_id] = {
      answer_id: answer.answer_id, choice: answer.choice, at: answer.answered_ms,
      result: null, why: null, state: "waiting", frames: frames.length > 0,
    };
    try {
      await this.inOrder(() => writeAnswer(this.key, this.number, list, item));
    } catch (error) {  // the disk is full, say: what was not kept must not look saved
      if (before) list.answers[check.check_id] = before;
      else delete list.answers[check.check_id];
      throw error;
    }
    await this.count();
    this.sync();
  }

  async learnt(answer, value) {
    const list = await this.list(answer.sheet_id);
    if (list && list.answers[value.check_id]?.answer_id === value.answer_id) list.answers[value.check_id] = learnt(value);
    return list;
  }

  async count() {
    const mine = (await queued()).filter((item) => item.number === this.number);
    this.stuck = mine.filter((item) => item.stuck).map((item) => item.stuck);
    this.waiting = mine.length - this.stuck.length;
    this.changed();
  }

  async sync() {
    if (!this.waiting) return;
    const reached = await sync({
      key: this.key, number: this.number, written: (write) => this.inOrder(write),
      signIn: () => this.signIn(), codeOf: async (id) => (await this.list(id))?.code ?? null,
      learnt: (answer, value) => this.learnt(answer, value), changed: () => this.count(),
    });
    this.connected = reached || (await call("/api/rounds", undefined, undefined, SHORT_MS)).status !== 0;
    await this.count();
  }

  draft(value) { return this.inOrder(() => writeDraft(this.key, this.number, value)); }
  lastDraft() { return readDraft(this.key, this.number).catch(() => null); }
  end() { call("/api/sign-out", {}); this.key = this.again = null; this.lists.clear(); }
}

const learnt = (answer) => ({
  answer_id: answer.answer_id, choice: answer.choice, at: Date.parse(answer.at),
  result: answer.result, why: answer.reason, state: "done",
});

export { covering };
