// Words come from one catalogue file a language; a further language is one further file and its code here.
const LANGUAGES = ["zh", "en"];
const KEPT = "bedside-language";
let words = {};
const asked = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem(KEPT);
let code = LANGUAGES.includes(asked) ? asked : "zh";

export const known = (key) => key in words;
export const language = () => words.language ?? "zh-CN";

// Words for a key; {name} stands for a value.
export function say(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export async function speak(next = code) {
  code = next;
  localStorage.setItem(KEPT, code);
  words = await (await fetch(`/static/catalogue/${code}.json`)).json();
  document.documentElement.lang = words.language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of document.querySelectorAll("[data-hint]")) element.placeholder = say(element.dataset.hint);
}

export async function speakOther() {
  await speak(LANGUAGES[(LANGUAGES.indexOf(code) + 1) % LANGUAGES.length]);
}
