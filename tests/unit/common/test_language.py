"""Chinese texts keep to the glossary, and to one language."""

import json
import re
from pathlib import Path

import pytest
import yaml
from parts.language import known_latin, unused_words, wrong_signs, wrong_words

from renzheng.rules.pack import load_pack

ROOT = Path(__file__).parents[3]
SCREENS = (
    "central/catalogues/zh.json",
    "central/nightly/templates/report.zh.json",
    "edge/kiosk/page/catalogue/zh.json",
    "edge/bedside/page/catalogue/zh.json",
    "edge/counter/page/catalogue/zh.json",
)
"""What people read on pages; the command line's own catalogue holds commands as well."""
ABOUT_LANGUAGE = {"language", "voice", "other_language"}
"""Keys whose texts are codes of languages, or another language's name."""


def catalogue(name):
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


def chinese_of_rules():
    """Yield every Chinese text of the rules, with its place."""

    def walk(value, place):
        if isinstance(value, dict):
            if isinstance(value.get("zh"), str):
                yield place, value["zh"]
            for name, inner in value.items():
                if name != "tables":
                    yield from walk(inner, f"{place}.{name}")
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner, place)

    for rule in load_pack().rules.values():
        header, query = rule.path.read_text(encoding="utf-8").split("*/", 1)
        yield from walk(yaml.safe_load(header.removeprefix("/*")), rule.id)
        yield from ((rule.id, text) for text in re.findall(r"'([^']*[\u4e00-\u9fff][^']*)'", query))


@pytest.mark.parametrize("name", [*SCREENS, "common/catalogues/zh.json"])
def test_a_catalogue_uses_the_words_of_the_glossary(name):
    wrong = {key: found for key, text in catalogue(name).items() if (found := wrong_words(text))}
    assert wrong == {}


@pytest.mark.parametrize("name", SCREENS)
def test_a_catalogue_of_a_screen_is_all_chinese(name):
    texts = {key: text for key, text in catalogue(name).items() if key not in ABOUT_LANGUAGE}
    assert {key: found for key, text in texts.items() if (found := wrong_signs(text))} == {}


def test_rules_use_the_words_of_the_glossary():
    texts = list(chinese_of_rules())
    assert len(texts) > 300
    assert [(place, found) for place, text in texts if (found := wrong_words(text))] == []


def test_explanations_and_titles_of_rules_are_all_chinese():
    heads = [rule.header for rule in load_pack().rules.values()]
    texts = [
        text.zh
        for head in heads
        for text in (
            head.title,
            head.explanation,
            *head.known_false_positives,
            *(one.meaning for one in head.parameters.values()),
        )
    ]
    assert [(text, found) for text in texts if (found := wrong_signs(text))] == []


def test_the_test_finds_what_it_looks_for():
    assert unused_words()["开放码"] == "开启码"
    assert "XLSX" in known_latin()
    assert wrong_words("还没有结论") == ["结论: 用 判定"]
    for text in ("理由 coverage_gap", "机器 M1@1772593200", '{"a": 1}', "机构,", "(不在)"):
        assert wrong_signs(text), text
    assert wrong_signs("运行：renzheng claims import。") == []
