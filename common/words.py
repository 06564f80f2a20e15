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


def message(text: str, chosen: Language | None = None) -> str:
    """Return a finished message, such as an error's, in the user's language; one that is not known stays.

    Its values are found again by the catalogue's English text, of several the longest.

    Args:
        text: the message.
        chosen: a page's language, where it is not the command line's.
    """
    if (chosen or language()) == "en" or not text:
        return text
    known = _catalogue().get(text)
    if known is not None:
        return known
    for letters, chinese in _templates():
        values = _values(letters, text)
        if values is not None:
            return _filled(chinese, values)
    return text


def _filled(text: str, values: tuple[str, ...]) -> str:
    return _PLACE.sub(lambda place: values[int(place[1])], text)


@cache
def _catalogue() -> dict[str, str]:
    found: dict[str, str] = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return found


@cache
def _templates() -> list[tuple[list[str], str]]:
    """Return what lies between the places of each English text with places, the longest first."""
    found = [
        (_PLACE.split(text)[::2], chinese) for text, chinese in _catalogue().items() if _PLACE.search(text)
    ]
    return sorted(found, key=lambda one: sum(map(len, one[0])), reverse=True)


def _values(letters: list[str], text: str) -> tuple[str, ...] | None:
    """Return what stands in the places of a text, each as short as can be; None where it is another text.

    One walk through the text, however long a foreign value in it is.
    """
    first, *middle, last = letters
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return None
    values = []
    for between in middle:
        found = text.find(between, at, end)
        if found < 0:
            return None
        values.append(text[at:found])
        at = found + len(between)
    return *values, text[at:end]
