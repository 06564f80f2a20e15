"""The header of a rule file: what a rule says about itself. Unknown keys are refused."""

import datetime as dt
import enum
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


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


class DatedValue(Strict):
    """A parameter's value from a service day on, until the next one begins."""

    since: Annotated[dt.date, Field(alias="from")]
    value: Decimal
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


Rows = tuple[dict[str, Any], ...]


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
    level: Literal["low", "medium", "high"]
    verdict: Literal["contradicted", "suspicious"] = "suspicious"
    parameters: dict[str, Parameter] = {}
    known_false_positives: Annotated[tuple[Bilingual, ...], Field(min_length=1)]
    explanation: Bilingual
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _stable_is_shown(self) -> "Header":
        both = any((e.flags or e.verdicts) and e.neighbour is not None for e in self.examples)
        if self.status is Status.stable and not both:
            raise ValueError("a stable rule needs an example that it flags, with a clean neighbour")
        return self


class RegionFile(Strict):
    """A region's own values of parameters, by rule and parameter; the national pack stays untouched."""

    region: Annotated[str, Field(pattern=r"^\d{6}$")]
    title: Bilingual
    parameters: dict[str, dict[str, tuple[DatedValue, ...]]]
