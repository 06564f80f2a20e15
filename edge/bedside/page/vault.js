// What the page keeps on its device. Two keys: the device's own, which cannot be read out of the browser, around
// everything that waits to be handed over; and under it one that only the inspector's PIN or passkey opens, around the
// lists with names. A page that was not unlocked can show nothing, and a PIN that is guessed at too often loses the lists.
const NAME = "bedside";
const ITERATIONS = 600_000; // PBKDF2-SHA-256, about a quarter of a second on a telephone
const MOST_TRIES = 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
let database = null;
let deviceKey = null;

export class WrongPin extends Error {}

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// Run one transaction; `work(store...)` must only use IndexedDB, so that it ends as a whole or not at all.
export function together(names, mode, work) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(names, mode, { durability: "strict" });
    const result = work(...names.map((name) => transaction.objectStore(name)));
    transaction.oncomplete = () => resolve(result instanceof IDBRequest ? result.result : undefined);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

export async function openVault() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    for (const name of ["keys", "meta", "lists", "drafts"]) request.result.createObjectStore(name);
    request.result.createObjectStore("queue", { autoIncrement: true });
  };
  database = await asked(request);
  deviceKey = await together(["keys"], "readonly", (keys) => keys.get("device"));
  if (!deviceKey) {
    deviceKey = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    await together(["keys"], "readwrite", (keys) => keys.put(deviceKey, "device"));
  }
  navigator.storage?.persist?.().catch(() => {});
}

async function encrypt(key, bytes) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  return { iv, body: await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, bytes) };
}

const decrypt = (key, sealed) => crypto.subtle.decrypt({ name: "AES-GCM", iv: sealed.iv }, key, sealed.body);
const asBytes = (value) => encoder.encode(JSON.stringify(value));
const asValue = (bytes) => JSON.parse(decoder.decode(bytes));

export const sealBytes = async (blob) => encrypt(deviceKey, await blob.arrayBuffer());
export const openBytes = (sealed) => decrypt(deviceKey, sealed);
export const sealValue = (value) => encrypt(deviceKey, asBytes(value));
export const openValue = async (sealed) => asValue(await decrypt(deviceKey, sealed));

async function pinKey(pin, salt) {
  const raw = await crypto.subtle.importKey("raw", encoder.encode(pin), "PBKDF2", false, ["deriveKey"]);
  return crypto.subtle.deriveKey(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations: ITERATIONS }, raw,
    { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"],
  );
}

const listKey = (raw) => crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);

// By what an inspector's lists open here: "pin", "passkey", or null where there are none.
export async function lockedBy(number) {
  const lock = await meta(`lock ${number}`);
  return lock ? lock.by ?? "pin" : null;
}

// The key of an inspector's lists, from the PIN alone, or from what the passkey gave.
export async function unlock(number, pin) {
  const lock = await meta(`lock ${number}`);
  if (!lock) throw new WrongPin("no lock");
  try {
    const inner = asValue(await decrypt(deviceKey, lock.wrapped));
    const sealed = { iv: new Uint8Array(inner.iv), body: new Uint8Array(inner.body) };
    const raw = await decrypt(await pinKey(pin, lock.salt), sealed);
    await putMeta(`lock ${number}`, { ...lock, failures: 0 });
    return listKey(raw);
  } catch {
    if (lock.failures + 1 >= MOST_TRIES) await forget(number);
    else await putMeta(`lock ${number}`, { ...lock, failures: lock.failures + 1 });
    throw new WrongPin("another PIN");
  }
}

// A new key for an inspector whom the device itself has just let in; lists under an older one are let go.
export async function makeLock(number, pin, by) {
  await forget(number);
  const raw = crypto.getRandomValues(new Uint8Array(32));
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const sealed = await encrypt(await pinKey(pin, salt), raw);
  const wrapped = await sealValue({ iv: [...sealed.iv], body: [...new Uint8Array(sealed.body)] });
  await putMeta(`lock ${number}`, { salt, wrapped, by, failures: 0 });
  const key = await listKey(raw);
  raw.fill(0);
  return key;
}

async function forget(number) {
  await together(["meta", "lists", "drafts"], "readwrite", (metas, lists, drafts) => {
    metas.delete(`lock ${number}`);
    drafts.delete(number);
    lists.delete(IDBKeyRange.bound(`${number} `, `${number} \uffff`));
  });
}

export const meta = (name) => together(["meta"], "readonly", (metas) => metas.get(name));
export const putMeta = (name, value) => together(["meta"], "readwrite", (metas) => metas.put(value, name));

// Lists: one sealed record a sheet and inspector, with the sheet and what was answered so far.
export async function readList(key, number, sheetId) {
  const sealed = await together(["lists"], "readonly", (lists) => lists.get(`${number} ${sheetId}`));
  return sealed ? asValue(await decrypt(key, sealed)) : null;
}

export const dropList = (number, sheetId) => together(["lists"], "readwrite", (lists) => lists.delete(`${number} ${sheetId}`));

export async function writeList(key, number, list) {
  const sealed = await encrypt(key, asBytes(list));
  await together(["lists"], "readwrite", (lists) => lists.put(sealed, `${number} ${list.sheet_id}`));
}

// An answer: the list that shows it, the queue that hands it over, and the end of its draft are one step.
export async function writeAnswer(key, number, list, item) {
  const sealed = await encrypt(key, asBytes(list));
  await together(["lists", "queue", "drafts"], "readwrite", (lists, queue, drafts) => {
    lists.put(sealed, `${number} ${list.sheet_id}`);
    queue.add(item);
    drafts.delete(number);
  });
}

export async function writeDraft(key, number, draft) {
  const sealed = draft ? await encrypt(key, asBytes(draft)) : null;
  await together(["drafts"], "readwrite", (drafts) => (sealed ? drafts.put(sealed, number) : drafts.delete(number)));
}

export async function readDraft(key, number) {
  const sealed = await together(["drafts"], "readonly", (drafts) => drafts.get(number));
  return sealed ? asValue(await decrypt(key, sealed)) : null;
}

export async function queued() {
  const found = [];
  await together(["queue"], "readonly", (queue) => {
    queue.openCursor().onsuccess = (event) => {
      const cursor = event.target.result;
      if (!cursor) return;
      found.push({ place: cursor.key, ...cursor.value });
      cursor.continue();
    };
  });
  return found;
}

export const enqueue = (item) => together(["queue"], "readwrite", (queue) => queue.add(item));
export const markQueued = (place, item) => together(["queue"], "readwrite", (queue) => queue.put(item, place));

// The device has it: the answer's frames and words leave this page, and its list learns what became of it.
export async function handedOver(key, number, list, place) {
  const sealed = list ? await encrypt(key, asBytes(list)) : null;
  await together(["lists", "queue"], "readwrite", (lists, queue) => {
    if (sealed) lists.put(sealed, `${number} ${list.sheet_id}`);
    queue.delete(place);
  });
}
