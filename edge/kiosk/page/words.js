// Words come from one catalogue file a language; a further language is one further file and its code here.
const LANGUAGES = ["zh", "en"];
let words = {};
let code = LANGUAGES.includes(new URLSearchParams(location.search).get("lang"))
  ? new URLSearchParams(location.search).get("lang") : "zh";

export const say = (key) => words[key] ?? key;
export const known = (key) => key in words;

export async function speak(next = code) {
  code = next;
  words = await (await fetch(`/static/catalogue/${code}.json`)).json();
  document.documentElement.lang = words.language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
}

export async function speakOther() {
  await speak(LANGUAGES[(LANGUAGES.indexOf(code) + 1) % LANGUAGES.length]);
}
