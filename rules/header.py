"""The header of a rule file: what a rule says about itself. Unknown keys are refused.

A header may be written by strangers: texts are templates of `{name}` and nothing else, numbers have a size
that a query can hold, and an example repeats its rows only so often.
"""

import datetime as dt
import enum
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """The base of everything in a header."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bilingual(Strict):
    """A text in Chinese and in English."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class Status(enum.StrEnum):
    """How far a rule has come: only `test` and `stable` ones run."""

    draft = "draft"
    test = "test"
    stable = "stable"


MOST_ROWS = 5_000
"""Most rows of one example, repeated ones counted."""
_BLANK = re.compile(r"\{[a-z][a-z0-9_]*\}")
_WHOLE = frozenset({"repeat", "every_minutes", "every_seconds"})
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Level = Literal["low", "medium", "high"]


class Template(Bilingual):
    """A text in two languages in which `{name}` stands for a column of the rule's query."""

    @model_validator(mode="after")
    def _only_names(self) -> "Template":
        for text in (self.zh, self.en):
            if re.search(r"[{}]", _BLANK.sub("", text)):
                raise ValueError("an explanation has {name} for a column of the query and no other braces")
        return self

    @property
    def names(self) -> set[str]:
        """The columns that it names."""
        return {found[1:-1] for text in (self.zh, self.en) for found in _BLANK.findall(text)}


class DatedValue(Strict):
    """A parameter's value from a service day on, until the next one begins."""

    since: Annotated[dt.date, Field(alias="from")]
    value: Annotated[
        Decimal, Field(ge=-1_000_000_000_000, le=1_000_000_000_000, decimal_places=9, allow_inf_nan=False)
    ]
    reference: Annotated[str, Field(min_length=1)]


class Parameter(Strict):
    """A number a region may set: its unit, what it means, and its values by service date."""

    unit: Annotated[str, Field(min_length=1)]
    meaning: Bilingual
    values: Annotated[tuple[DatedValue, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> "Parameter":
        days = [value.since for value in self.values]
        if days != sorted(set(days)):
            raise ValueError("values must come in the order of their dates, each date once")
        return self


class Expectation(Strict):
    """One finding that an example must give; only what is written is compared."""

    institution_id: str | None = None
    person_id: str | None = None
    line_ids: tuple[str, ...] | None = None
    evidence: tuple[str, ...] | None = None
    amount: Decimal | None = None


def _few(rows: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    for row in rows:
        for name in _WHOLE & row.keys():
            if type(row[name]) is not int or not 0 <= row[name] <= MOST_ROWS * 60:
                raise ValueError(f"{name} must be a whole number from 0 to {MOST_ROWS * 60}")
    if sum(row.get("repeat", 1) for row in rows) > MOST_ROWS:
        raise ValueError(f"an example has at most {MOST_ROWS} rows a table")
    return rows


Rows = Annotated[tuple[dict[str, Any], ...], AfterValidator(_few)]


class Neighbour(Strict):
    """The clean twin of an example: the same tables but for those given here; nothing may be flagged."""

    title: Bilingual
    tables: dict[str, Rows]
    verdicts: dict[str, str] = {}


class Example(Strict):
    """Small tables that a rule must flag, with a clean neighbour.

    A rule of findings lists them in `flags`; a rule of line verdicts gives `verdicts`, line id to
    `verdict/reason`.
    """

    title: Bilingual
    tables: dict[str, Rows]
    flags: tuple[Expectation, ...] = ()
    verdicts: dict[str, str] = {}
    neighbour: Neighbour | None = None


class Header(Strict):
    """Everything a rule says about itself."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]+$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+$")]
    title: Bilingual
    status: Status
    produces: Literal["findings", "line_verdicts"] = "findings"
    basis: Annotated[tuple[str, ...], Field(min_length=1)]
    stage: Literal["before", "during", "after"]
    level: Level
    verdict: Literal["contradicted", "suspicious"] = "suspicious"
    parameters: dict[Name, Parameter] = {}
    known_false_positives: Annotated[tuple[Bilingual, ...], Field(min_length=1)]
    explanation: Template
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _stable_is_shown(self) -> "Header":
        both = any((e.flags or e.verdicts) and e.neighbour is not None for e in self.examples)
        if self.status is Status.stable and not both:
            raise ValueError("a stable rule needs an example that it flags, with a clean neighbour")
        return self


class Off(Strict):
    """A stretch of service days on which a region does not run a rule, and why."""

    since: Annotated[dt.date, Field(alias="from")]
    until: Annotated[dt.date | None, Field(alias="to")] = None
    reason: Bilingual

    @model_validator(mode="after")
    def _forwards(self) -> "Off":
        if self.until is not None and self.until < self.since:
            raise ValueError("`to` is before `from`")
        return self

    def holds(self, day: dt.date) -> bool:
        """Return whether it holds on a service day."""
        return self.since <= day and (self.until is None or day <= self.until)


class DatedLevel(Strict):
    """The level of a rule in a region from a service day on."""

    since: Annotated[dt.date, Field(alias="from")]
    value: Level
    reference: Annotated[str, Field(min_length=1)]


class Choice(Strict):
    """What a region decided about one rule of the national pack."""

    switched_off: tuple[Off, ...] = ()
    level: tuple[DatedLevel, ...] = ()


class RegionFile(Strict):
    """A region's own values of parameters and its choices, by rule; the national pack stays untouched.

    `cases` holds its own numbers of case work (`casework.yaml`), `working_days` the days on which it works
    though the nation does not, or the other way round.
    """

    region: Annotated[str, Field(pattern=r"^\d{6}$")]
    title: Bilingual
    parameters: dict[str, dict[str, tuple[DatedValue, ...]]] = {}
    rules: dict[str, Choice] = {}
    cases: dict[Name, tuple[DatedValue, ...]] = {}
    working_days: dict[dt.date, bool] = {}
