// Words come from one catalogue file a language; a further language is one further file.
export const settings = await (await fetch("/kiosk/settings")).json();
const LANGUAGES = settings.languages;
const asked = new URLSearchParams(location.search).get("lang");
export const OWN_LANGUAGE = LANGUAGES.includes(asked) ? asked : LANGUAGES[0];
let words = {};
let code = OWN_LANGUAGE;

export const say = (key) => words[key] ?? key;
export const known = (key) => key in words;
export const language = () => code;

// Say `key` in this element, in whatever language, until it is told something else.
export function put(element, key) {
  element.dataset.say = key;
  element.textContent = key ? say(key) : "";
}

export async function speak(next = code) {
  code = next;
  words = await (await fetch(`/static/catalogue/${code}.json`)).json();
  document.documentElement.lang = words.language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) put(element, element.dataset.say);
}

export async function speakOther() {
  await speak(LANGUAGES[(LANGUAGES.indexOf(code) + 1) % LANGUAGES.length]);
}
