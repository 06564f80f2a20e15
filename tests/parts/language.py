"""What is wrong with the language of a Chinese text, by the glossary."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
HAN = r"[\u4e00-\u9fff]"
_LATIN = re.compile(r"[A-Za-z][A-Za-z_-]+")
_HALF_WIDTH = re.compile(rf"{HAN}\s?[,;:?!()]|[,;:?!()]\s?{HAN}")
_BLANK = re.compile(r"\{[^}]*\}")
_COMMAND = re.compile(
    r"(?:renzheng[- ]|systemctl |systemd|docs/|rules_key_file)[A-Za-z0-9@ ./_=-]*|--[a-z-]+"
)
_UNIX_TIME = re.compile(r"@\d{9,}|(?<!\d)1[67]\d{8}(?!\d)")
_JSON = re.compile(r"\{\s*\"|\[\s*\"|\":\s")


@cache
def unused_words() -> dict[str, str]:
    """Return each word that the glossary does not want, with the one it has instead."""
    section = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").split("## Words not used")[1]
    rows = [row.strip("| ").split(" | ") for row in section.splitlines() if row.startswith("| ")][1:]
    return {word: instead for words, instead in rows for word in words.split("、")}


@cache
def known_latin() -> frozenset[str]:
    """Return the words of Latin letters that Chinese texts may have."""
    section = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").split("Latin letters stand")[1]
    listed = section.split("things:")[1]
    return frozenset(_LATIN.findall(listed))


def wrong_words(text: str) -> list[str]:
    """Return what the glossary has against the words of a Chinese text."""
    return [f"{word}: 用 {instead}" for word, instead in unused_words().items() if word in text]


def wrong_signs(text: str, *, ids: frozenset[str] = frozenset()) -> list[str]:
    """Return what is no Chinese in a Chinese text: Latin words, half-width signs, Unix time, JSON.

    Args:
        text: what people read.
        ids: ids of things and foreign names that may stand in it.
    """
    bare = _COMMAND.sub("", _BLANK.sub("", text))
    for one in sorted(ids, key=len, reverse=True):
        bare = bare.replace(one, "")
    wrong = [found for found in _LATIN.findall(bare) if found not in known_latin()]
    wrong += _HALF_WIDTH.findall(bare)
    return wrong + _UNIX_TIME.findall(text) + _JSON.findall(text)
