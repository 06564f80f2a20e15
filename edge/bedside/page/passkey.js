// Passkeys of this tablet: set up by a code, shown to the unit, and the secret by which they open the kept lists.
import { call } from "/static/device.js";

const SALT = new TextEncoder().encode("renzheng bedside lists v1");
const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

export const possible = () => Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

// Ask the tablet. Where it can (PRF), it gives a secret of its own, which never leaves this page.
async function ask(kind, options) {
  const read = kind === "create" ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
  const publicKey = PublicKeyCredential[read](options);
  publicKey.extensions = { ...publicKey.extensions, prf: { eval: { first: SALT } } };
  const made = await navigator.credentials[kind]({ publicKey }).catch(() => { throw new Error("passkey_not_shown"); });
  const own = made.getClientExtensionResults().prf?.results?.first;
  const credential = JSON.stringify({ ...made.toJSON(), clientExtensionResults: {} });
  return { credential, own: own ? base64url(own) : null };
}

function must(answer) {
  if (!answer.ok) throw new Error(answer.value.problem ?? "fault");
  return answer.value;
}

export async function setUp(number, code) {
  const asked = must(await call("/api/passkeys/new", { number, code }));
  const { credential } = await ask("create", asked.options);
  must(await call("/api/passkeys", { ceremony: asked.ceremony, credential }));
}

// Sign in at the unit; gives its answer, and the secret for the lists.
export async function show(number) {
  const asked = await call("/api/passkeys/ask", {});
  if (!asked.ok) return { answer: asked, secret: null };
  const { credential, own } = await ask("get", asked.value.options);
  const answer = await call("/api/sign-in/passkey", { number, ceremony: asked.value.ceremony, credential });
  return { answer, secret: own ?? answer.value.lists_secret ?? null };
}

// Out of the unit's reach: the tablet's own secret, if it has one. Nobody is signed in by it.
export async function secretOf() {
  const challenge = base64url(crypto.getRandomValues(new Uint8Array(32)));
  return (await ask("get", { challenge, rpId: location.hostname, userVerification: "required" })).own;
}
