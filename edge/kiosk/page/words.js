// Words come from one catalogue file a language; a further language is one further file. All are here before the first
// screen, so that the language changes while the agent is away, too.
const AGAIN_MS = 1_000;

async function fetched(path) {
  for (;;) {
    const answer = await fetch(path).catch(() => null);
    if (answer?.ok) return answer.json();
    await new Promise((done) => { setTimeout(done, AGAIN_MS); });
  }
}

export const settings = await fetched("/kiosk/settings");
const LANGUAGES = settings.languages;
const asked = new URLSearchParams(location.search).get("lang");
export const OWN_LANGUAGE = LANGUAGES.includes(asked) ? asked : LANGUAGES[0];
const every = new Map(await Promise.all(
  LANGUAGES.map(async (each) => [each, await fetched(`/static/catalogue/${each}.json`)]),
));
let code = OWN_LANGUAGE;
let words = every.get(code);

export const say = (key) => words[key] ?? key;
export const known = (key) => key in words;
export const language = () => code;

// Say `key` in this element, in whatever language, until it is told something else.
export function put(element, key) {
  element.dataset.say = key;
  element.textContent = key ? say(key) : "";
}

export function speak(next = code) {
  code = next;
  words = every.get(code);
  document.documentElement.lang = words.language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) put(element, element.dataset.say);
}

export function speakOther() {
  speak(LANGUAGES[(LANGUAGES.indexOf(code) + 1) % LANGUAGES.length]);
}
