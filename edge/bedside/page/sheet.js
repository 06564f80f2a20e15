// A round's sheet in the page: opening it by its code without the device, its order, and where it stands.
const ALPHABET = /^[0-9A-HJKMNP-TV-Z]{20}$/;
const encoder = new TextEncoder();
const collator = new Intl.Collator("zh", { numeric: true });

// What was read aloud, as it was meant: O is 0, I and L are 1, U is V; spaces and hyphens mean nothing.
export function plainCode(typed) {
  const plain = typed.toUpperCase().replace(/[\s\-–—.]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1").replace(/U/g, "V");
  return ALPHABET.test(plain) ? plain : null;
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64.replace(/\s/g, "")), (letter) => letter.charCodeAt(0));
}

// Open a sealed sheet; null when the code is another round's. The device opens it once more when it can be reached.
export async function unseal(sealed, plain) {
  const hash = await crypto.subtle.digest("SHA-256", encoder.encode(`renzheng opening ${sealed.round_id} ${plain}`));
  const key = await crypto.subtle.importKey("raw", hash, "AES-GCM", false, ["decrypt"]);
  const bytes = bytesOf(sealed.sealed);
  const additionalData = encoder.encode(`renzheng round ${sealed.round_id} ${sealed.institution_id}`);
  try {
    const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv: bytes.slice(0, 12), additionalData }, key, bytes.slice(12));
    const sheet = JSON.parse(new TextDecoder().decode(opened));
    return sheet.due_at === sealed.due_at && sheet.closes_at === sealed.closes_at ? sheet : null;
  } catch {
    return null;
  }
}

export function standing(round, now) {
  if (now > Date.parse(round.closes_at)) return "closed";
  if (now < Date.parse(round.due_at)) return "not_due";
  return round.standing === "open" ? "open" : "due";
}

// By ward and bed, as one walks.
export function byWard(checks) {
  const wards = new Map();
  const order = (a, b) => collator.compare(a.ward, b.ward) || collator.compare(a.bed, b.bed);
  for (const check of [...checks].sort(order)) {
    if (!wards.has(check.ward)) wards.set(check.ward, []);
    wards.get(check.ward).push(check);
  }
  return wards;
}

export const matches = (check, wanted) =>
  !wanted || [check.bed, check.surname, check.masked_number, check.ward].some((text) => text.includes(wanted));

// The absences on record before the draw that cover a moment: the same rule as the device's.
export const covering = (sheet, check, at) => check.away.filter((away) => {
  const end = away.returned_at ?? away.due_back_at;
  return Date.parse(away.recorded_at) <= Date.parse(sheet.drawn_at)
    && Date.parse(away.left_at) <= at && (!end || at < Date.parse(end));
});
