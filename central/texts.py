"""What the pages say, from one catalogue file a language."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
CATALOGUES = Path(__file__).parent / "catalogues"


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    language: Language
    catalogue: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Say `key`, with `values` in its places.

        Raises:
            KeyError: the catalogue lacks it, which a test excludes for every key in use.
        """
        return self.catalogue[key].format(**values) if values else self.catalogue[key]

    def code(self, family: str, code: str | None) -> str:
        """Say a code of a closed or growing list; one that the catalogue does not know stands as it is."""
        if code is None:
            return "—"
        return self.catalogue.get(f"{family}.{code}", code)

    def codes(self, family: str, codes: Iterable[str]) -> list[str]:
        """Say several codes of a list."""
        return [self.code(family, code) for code in codes]


@cache
def texts(language: Language) -> Texts:
    """Load a language's catalogue."""
    path = CATALOGUES / f"{language}.json"
    return Texts(language, json.loads(path.read_text(encoding="utf-8")))
