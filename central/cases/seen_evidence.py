"""Frozen evidence as the institution that it speaks against may have it.

What is frozen is everything that the audit knew: where else the person was seen, by which device, which
inspector came to the bed. An institution's people see rows of their own and nothing that tells of another,
so they get a form of their own, made from the frozen bytes alone and naming their SHA-256 (`of`). The frozen
bytes themselves never change.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from renzheng.central.cases import judging, records
from renzheng.central.cases.freezing import sha256

FORM = "renzheng evidence for its institution v1"
HIDDEN = "***"
_BY_PLACE = ("attendance", "machine_sessions", "coverage", "spot_checks", "leaves", "stays")
_OF_A_RUN = ("run_id", "from_day", "to_day", "state", "started_at", "finished_at")
_TELLING = ("explanation_zh", "explanation_en", "parameters")
Row = Mapping[str, Any]


def evidence_for_institution(frozen: bytes, elsewhere: Iterable[str] = ()) -> bytes:
    """Write frozen evidence as the accused institution may have it; the same bytes each time.

    Left out are rows of other institutions, their names, devices, log entries, keys and batches, numbers of
    the person that only others have used, inspectors, and what the run came to elsewhere. A verdict that
    rests on any of it cannot be computed again from the rest; `comes_to` is what the rest comes to.

    Args:
        frozen: the evidence as it was hashed.
        elsewhere: ids and names of other institutions, which the words of a finding may name.
    """
    document = orjson.loads(frozen)
    own = document["institution_id"]
    lines = [_line(line, own) for line in document["lines"]]
    known = set(_texts(line[part] for line in lines for part in ("around", "judged")))
    known |= {line["line_id"] for line in lines}
    for line in lines:
        line["verdict"] = _verdict(line["verdict"], known)
        for day in (line["around"] or {}).get("days", ()):
            day["evidence"] = _named(day.get("evidence"), known)
    batches = [one for one in document.get("batches", ()) if one["institution_id"] == own]
    devices, others = (
        {one["device_id"] for one in document.get("batches", ()) if (one["institution_id"] == own) is is_own}
        for is_own in (True, False)
    )
    events = {one["event_id"] for line in lines for one in (line["around"] or {}).get("attendance", ())}
    log = [
        one
        for one in document["log"]
        if one["event_id"] in events and one["device_id"] not in others - devices
    ]
    return records.canonical(
        {
            "form": FORM,
            "of": sha256(frozen),
            "doubt": document["doubt"],
            "institution_id": own,
            "lines": lines,
            "finding": _finding(document["finding"], known, elsewhere),
            "rule": document["rule"],
            "line_rules": document["line_rules"],
            "run": {name: document["run"].get(name) for name in _OF_A_RUN} if document["run"] else None,
            "log": log,
            "batches": batches,
            "keys": [one for one in document.get("keys", ()) if one["device_id"] in devices],
            "covered": [one for one in document.get("covered", ()) if one["device_id"] in devices],
            "checkpoint": document["checkpoint"],
        }
    )


def _line(line: Row, own: str) -> dict[str, Any]:
    around, judged = line.get("around"), line.get("judged")
    return {
        **line,
        "around": around and _around(around, own),
        "judged": judged and _judged(judged, own, line["line_id"]),
    }


def _around(around: Row, own: str) -> dict[str, Any]:
    rows = {name: _own_rows(around.get(name, ()), own) for name in _BY_PLACE}
    names = {place: name for place, name in (around.get("names") or {}).items() if place == own}
    return {**around, **rows, "names": names}


def _own_rows(rows: Sequence[Row], own: str) -> list[dict[str, Any]]:
    """Leave out rows of other institutions, and in the others who has inspected."""
    return [
        {name: None if name == "inspector_id" else value for name, value in row.items()}
        for row in rows
        if row.get("institution_id", own) == own
    ]


def _judged(judged: Row, own: str, line_id: str) -> dict[str, Any] | None:
    tables = {name: _own_rows(rows, own) for name, rows in judged["tables"].items()}
    numbers = {row["person_id"] for name in tables if name != "persons" for row in tables[name]
               if "institution_id" in row and row.get("person_id")}  # fmt: skip
    tables["persons"] = [row for row in tables.get("persons", ()) if row["person_id"] in numbers]
    tables["person_aliases"] = [
        row for row in tables.get("person_aliases", ()) if {row["person_id"], row["alias_of"]} <= numbers
    ]
    codes = {row["item_code"] for row in tables.get("claim_lines", ())}
    tables["item_catalogue"] = [row for row in tables.get("item_catalogue", ()) if row["item_code"] in codes]
    hours = [one for one in judged["arrival_hours"] if one["institution_id"] == own]
    seen = {**judged, "tables": tables, "arrival_hours": hours}
    if {name: len(rows) for name, rows in tables.items()} == {
        name: len(judged["tables"].get(name, ())) for name in tables
    }:
        return seen
    try:
        again = judging.judge_again(own, line_id, seen)
    except judging.ParameterMissingError:
        return None
    return {**seen, "comes_to": again and {"verdict": again.verdict, "reason": again.reason}}


def _verdict(verdict: Row | None, known: set[str]) -> dict[str, Any] | None:
    if verdict is None:
        return None
    seen = {**verdict, "evidence": _named(verdict.get("evidence"), known)}
    if verdict.get("devices"):
        seen["devices"] = orjson.dumps(_named(orjson.loads(verdict["devices"]), known)).decode()
    if verdict.get("ward") is not None and verdict["ward"] not in known:
        seen["ward"] = None
    return seen


def _named(cited: Any, known: set[str]) -> Any:
    """Keep what a verdict cites of the rows that are shown."""
    if isinstance(cited, str):
        return orjson.dumps(_named(orjson.loads(cited), known)).decode()
    return [one for one in cited if one in known] if cited is not None else None


def _finding(finding: Row | None, known: set[str], elsewhere: Iterable[str]) -> dict[str, Any] | None:
    if finding is None:
        return None
    cover = _covering(elsewhere)
    cited = {name: _named(finding.get(name), known) for name in ("line_ids", "evidence")}
    return {**finding, **cited, **{name: cover(finding.get(name)) for name in _TELLING}}


def _covering(elsewhere: Iterable[str]) -> Callable[[Any], Any]:
    """Return what covers ids and names of other institutions in texts, in lists and objects of them."""
    named = sorted({one for one in elsewhere if one}, key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<![0-9A-Za-z]){re.escape(one)}(?![0-9A-Za-z])" for one in named))

    def cover(value: Any) -> Any:
        if isinstance(value, str) and named:
            return pattern.sub(HIDDEN, value)
        if isinstance(value, Mapping):
            return {cover(name): cover(one) for name, one in value.items()}
        if isinstance(value, list):
            return [cover(one) for one in value]
        return value

    return cover


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, Iterable):
        for one in value:
            yield from _texts(one)
