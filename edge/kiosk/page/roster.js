// Today's list: who is expected now first, then those who are signed in, then the others, each by pinyin; a rail of initials.
// The order of characters is the browser's own (ICU, `zh-u-co-pinyin`); what a surname is read as otherwise stands here.
import { put } from "/static/words.js";

const RAIL_FROM = 13;           // fewer names are seen at a glance
const LETTERS = [..."ABCDEFGHJKLMNOPQRSTWXYZ"];
const FIRSTS = [..."阿八嚓咑妸发旮哈丌咔垃妈拏噢妑七呥仨他屲夕丫帀"];   // where each letter's characters begin
const OTHER = "#";
const RANGES = ["ABC", "DEFG", "HJ", "KL", "MNOPQ", "RS", "TW", "X", "Y", "Z", "I", "U", "V", OTHER];   // the keys of the rail
const collator = new Intl.Collator("zh-u-co-pinyin");

// Surnames that are read otherwise than their first character mostly is, by a character that is read so; and rare ones
// beyond the basic plane, which the browser's order does not know.
const READ_AS = {
  单: "善", 曾: "增", 仇: "求", 解: "谢", 区: "欧", 查: "扎", 翟: "宅", 尉迟: "玉迟", 万俟: "莫其", 盖: "葛", 覃: "秦", 朴: "飘",
  缪: "妙", 员: "运", 乐: "月", 种: "虫", 秘: "必", 冼: "显", 洗: "显", 折: "舌", 黑: "贺", 繁: "婆", 句: "勾", 长孙: "掌孙",
  澹台: "谈台", 召: "绍", 祭: "债", 能: "耐", 那: "纳", 晟: "成", 车: "扯", 都: "督", 尉: "卫", 曲: "驱", 沈: "审", 贾: "甲", 俞: "鱼",
  钭: "头", 乜: "聂",
  𠮷: "吉", 𡈽: "土", 𠀾: "孙", 𤭢: "碎", 𣲘: "沔", 𬭎: "宏", 𬀩: "伟", 𠂇: "左", 𬱖: "颖", 𫖯: "府", 𨱏: "扬", 𬸦: "焉",
};
const READ_ALSO = { 翟: "D", 盖: "G", 覃: "T", 乐: "L", 郗: "C", 隗: "K", 单: "D", 曾: "C", 解: "J", 查: "C", 区: "Q", 尉: "Y", 沈: "C" };

function readAs(name) {
  const surname = [name.slice(0, 2), [...name][0] ?? ""].find((start) => start in READ_AS);
  return surname ? READ_AS[surname] + name.slice(surname.length) : name;
}

export function initialOf(name) {
  const first = [...readAs(name.trim())][0] ?? "";
  if (/[A-Za-z]/.test(first)) return first.toUpperCase();
  if (!/\p{Script=Han}/u.test(first) || first.codePointAt(0) > 0xffff) return OTHER;
  return LETTERS.findLast((_letter, place) => collator.compare(first, FIRSTS[place]) >= 0) ?? OTHER;
}

const initialsOf = (name) => [initialOf(name), READ_ALSO[[...name][0]]].filter(Boolean);
const inOrder = (one, other) => collator.compare(readAs(one.surname), readAs(other.surname))
  || collator.compare(one.masked_number, other.masked_number);

const GROUPS = ["now", "in", "later"];

export class Roster {
  // `repaint(box, rows)` shows rows; `choose(patient)` is told who was touched.
  constructor(box, rail, gone, { repaint, choose }) {
    Object.assign(this, { box, rail, gone, repaint, choose, patients: [], range: "", shows: false });
    gone.onclick = () => { this.shows = !this.shows; this.paint(); };
  }

  show(patients) {
    this.patients = [...patients].sort(inOrder);
    this.paint();
  }

  // As it was before anybody touched it.
  reset() {
    if (!this.range && !this.shows) return;
    this.range = "";
    this.shows = false;
    this.paint();
  }

  clear() {
    this.patients = [];
    this.range = "";
    this.shows = false;
    this.rail.replaceChildren();
    this.gone.hidden = true;
  }

  paint() {
    const done = this.patients.filter((each) => each.group === "done");
    const here = this.shows ? this.patients : this.patients.filter((each) => each.group !== "done");
    const within = (range, each) => !range || initialsOf(each.surname).some((letter) => range.includes(letter));
    const ranges = RANGES.filter((range) => here.some((each) => within(range, each)));
    if (!ranges.includes(this.range)) this.range = "";
    const wanted = here.filter((each) => within(this.range, each));
    const rows = [...GROUPS, "done"].flatMap((group) => this.group(group, wanted.filter((each) => each.group === group), here));
    this.repaint(this.box, rows.length ? rows : [nobody()]);
    this.repaint(this.rail, here.length < RAIL_FROM ? [] : ["", ...ranges].map((range) => this.key(range)));
    this.rail.hidden = here.length < RAIL_FROM;
    this.gone.hidden = !done.length;
    put(this.gone, this.shows ? "roster.hide_done" : "roster.show_done");
    this.gone.dataset.count = this.shows ? "" : String(done.length);
  }

  group(group, patients, all) {
    if (!patients.length) return [];
    if (new Set(all.map((each) => each.group)).size < 2 && group === "later") return patients.map((each) => this.tile(each));
    const title = document.createElement("h3");
    title.dataset.key = `group-${group}`;
    put(title, `roster.${group}`);
    return [title, ...patients.map((each) => this.tile(each))];
  }

  tile(patient) {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.dataset.key = tile.dataset.person = patient.person_id;
    const name = document.createElement("b");
    const number = document.createElement("span");
    name.textContent = patient.surname;
    number.textContent = patient.masked_number;
    tile.append(name, number);
    tile.dataset.ending = patient.masked_number.replace(/\D/g, "");
    tile.onclick = () => this.choose(patient);
    return tile;
  }

  key(range) {
    const key = document.createElement("button");
    key.type = "button";
    key.dataset.key = `range-${range}`;
    if (range && range !== OTHER) key.textContent = range.length > 1 ? `${range[0]}–${range.at(-1)}` : range;
    else put(key, range ? "roster.other" : "roster.all");
    key.setAttribute("aria-pressed", String(this.range === range));
    key.onclick = () => {
      this.range = this.range === range ? "" : range;
      for (const each of this.rail.children) each.setAttribute("aria-pressed", String(each.dataset.key === `range-${this.range}`));
      this.paint();
    };
    return key;
  }
}

function nobody() {
  const text = document.createElement("p");
  put(text, "idle.nobody");
  return text;
}
