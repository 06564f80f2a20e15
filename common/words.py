"""What the command line says, in the user's language: English as in the code, or the catalogue's Chinese.

The catalogue `catalogues/zh.json` has a Chinese text for each English one; `{0}`, `{1}` are the values in it,
from left to right. `RENZHENG_LANG` chooses the language (`zh`, `en`), else the locale does; without either it
is English. Logs, files and JSON are English for everybody.
"""

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGE = "RENZHENG_LANG"
"""Environment variable that chooses the language of the command line."""
CATALOGUE = Path(__file__).parent / "catalogues" / "zh.json"
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")
_PLACE = re.compile(r"\{(\d+)\}")


def language(environment: Mapping[str, str] = os.environ) -> Language:
    """Return the language of the command line: that of `RENZHENG_LANG`, else of the locale, else English."""
    chosen = next((environment[name] for name in (LANGUAGE, *_LOCALE) if environment.get(name)), "")
    return "zh" if re.match(r"zh(?![a-z])", chosen, re.IGNORECASE) else "en"


def say(text: str, *values: object) -> str:
    """Return a text of the command line in the user's language, with values in its places `{0}`, `{1}` ...

    Args:
        text: English, as a literal; the catalogue has it.
        values: shown as they are; the caller has formatted numbers and times.
    """
    return _filled(in_language(text), tuple(map(str, values)))


def in_language(text: str) -> str:
    """Return a fixed text, such as one of the help, in the user's language; one that is not known stays."""
    return _catalogue().get(text, text) if language() == "zh" else text


def message(text: str) -> str:
    """Return a finished message, such as an error's, in the user's language; one that is not known stays.

    Its values are found again by the catalogue's English text, of several the longest.
    """
    if language() == "en" or not text:
        return text
    known = _catalogue().get(text)
    if known is not None:
        return known
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return _filled(chinese, found.groups())
    return text


def _filled(text: str, values: tuple[str, ...]) -> str:
    return _PLACE.sub(lambda place: values[int(place[1])], text)


@cache
def _catalogue() -> dict[str, str]:
    found: dict[str, str] = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return found


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return the texts with places, those with most letters of their own first."""
    texts = [(english, chinese) for english, chinese in _catalogue().items() if _PLACE.search(english)]
    texts.sort(key=lambda text: len(_PLACE.sub("", text[0])), reverse=True)
    return [(_pattern(english), chinese) for english, chinese in texts]


def _pattern(english: str) -> re.Pattern[str]:
    letters = _PLACE.split(english)[::2]
    return re.compile("(.*?)".join(map(re.escape, letters)), re.DOTALL)
