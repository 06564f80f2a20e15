"""Everything that a finding rests on, of every kind, read from the tables that its run read."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from renzheng.central.nightly import run_tables
from renzheng.central.nightly.evidence import names_of, names_of_institutions
from renzheng.central.store.times import from_us

Row = Mapping[str, Any]
MOST_CITED = 5_000
"""Ids of evidence that are looked up."""
MOST_SHOWN = 300
"""Rows of a kind that are read one by one; of more, groups are."""
MOST_ONE_BY_ONE = 40
"""Rows of a kind that are shown one by one; more are grouped."""
AROUND = dt.timedelta(hours=12)
KINDS = (
    *("stay", "leave", "spot_check", "attendance", "machine_session"),
    *("prescription", "death", "drug_sale", "line"),
)
_SALE = "d.institution_id || '@' || d.sale_id"
_RUN = "machine_id || '@' || CAST(epoch_us(started_at) // 1000000 AS VARCHAR)"


@dataclass(frozen=True, slots=True)
class Item:
    """One record.

    Args:
        kind: one of `KINDS`.
        id: its id in its table.
        at: when it was or began; aware UTC.
        until: when it ended, if it lasts.
        family: the list in the catalogues that `code` is of; empty where there is none.
        code: what came of it, or what it is.
        person_id: whose.
        institution_id: where.
        place: device, machine, or ward and bed.
        noted_at: when it was received or recorded.
        cited: whether the finding names it.
        trusted: whether its clock was.
    """

    kind: str
    id: str
    at: dt.datetime | dt.date | None
    until: dt.datetime | dt.date | None = None
    family: str = ""
    code: str = ""
    person_id: str = ""
    institution_id: str = ""
    place: str = ""
    noted_at: dt.datetime | None = None
    cited: bool = False
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Records of a kind that are alike: where, and what came of them."""

    family: str
    code: str
    institution_id: str
    place: str
    rows: int
    persons: int
    first: dt.datetime | dt.date | None
    last: dt.datetime | dt.date | None


@dataclass(frozen=True, slots=True)
class Kind:
    """All records of one kind.

    Args:
        name: one of `KINDS`.
        items: in order of time, at most `MOST_SHOWN`.
        rows: how many there are.
        groups: them grouped, the largest first; empty where they are few.
    """

    name: str
    items: Sequence[Item]
    rows: int
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class FindingEvidence:
    """What a finding rests on.

    Args:
        kinds: records by kind, without empty ones.
        coverage: hours by device and state in the finding's time, of its institution.
        names: institutions by id.
        cited: how many ids the finding names.
        unknown: ids that no table holds.
    """

    kinds: Sequence[Kind]
    coverage: Sequence[Row]
    names: Mapping[str, str]
    classes: Sequence[str]
    """Of the items of the finding's lines."""
    persons: Sequence[str]
    """Whose records there are."""
    cited: int
    unknown: Sequence[str] = ()


def read_finding(
    tables: Path,
    finding: Row,
    cited: Sequence[str],
    codes: Sequence[str],
    zone: ZoneInfo,
    *,
    sees: Callable[[str], bool],
) -> FindingEvidence | None:
    """Read the records that a finding names, and of a finding about a person what else bears on it.

    Args:
        tables: the folder of tables of its run.
        finding: with institution_id and person_id, and its time in microseconds, from_at and to_at.
        cited: ids that it names.
        codes: item codes of its lines.
        zone: the institution's time zone.
        sees: whether the reader may see what an institution recorded.

    Returns:
        None when the tables are gone.
    """
    if not tables.is_dir():
        return None
    begin, end = (from_us(finding[name]).astimezone(zone) for name in ("from_at", "to_at"))
    with run_tables.opened(tables) as database:
        ids = sorted(set(cited))[:MOST_CITED]
        database.register("cited_ids", pa.table({"id": pa.array(ids, pa.string())}))
        reader = _Reader(database, finding, begin - AROUND, end + AROUND)
        items = sorted(reader.items(), key=lambda item: (str(item.at or ""), item.id))
        known = {item.id for item in items}
        items = [item for item in items if not item.institution_id or sees(item.institution_id)]
        places = {item.institution_id for item in items} | {finding["institution_id"]}
        found = [_kind(name, [item for item in items if item.kind == name]) for name in KINDS]
        return FindingEvidence(
            [kind for kind in found if kind.rows],
            reader.coverage(begin, end),
            names_of_institutions(database, sorted(places)),
            _classes(database, codes),
            sorted({item.person_id for item in items if item.person_id}),
            len(set(cited)),
            [one for one in ids if one not in known],
        )


def _classes(database: duckdb.DuckDBPyConnection, codes: Sequence[str]) -> list[str]:
    sql = "SELECT DISTINCT item_class FROM item_catalogue WHERE item_code IN ? ORDER BY ALL"
    return [row["item_class"] for row in run_tables.rows(database, sql, list(codes)) if row["item_class"]]


def _kind(name: str, items: Sequence[Item]) -> Kind:
    few = len(items) <= MOST_ONE_BY_ONE
    return Kind(name, items[:MOST_SHOWN], len(items), () if few else _groups(items))


def _groups(items: Sequence[Item]) -> list[Group]:
    together: dict[tuple[str, str, str, str], list[Item]] = {}
    for item in items:
        together.setdefault((item.family, item.code, item.institution_id, item.place), []).append(item)
    if len(together) > MOST_ONE_BY_ONE:
        together = {}
        for item in items:
            together.setdefault((item.family, item.code, item.institution_id, ""), []).append(item)
    groups = [
        Group(*key, len(rows), len({row.person_id for row in rows}), rows[0].at, rows[-1].at)
        for key, rows in together.items()
    ]
    return sorted(groups, key=lambda group: (-group.rows, group.code, group.place))


class _Reader:
    """Reads the records of each kind: those that are named, and those of the person in that time."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, finding: Row, begin: dt.datetime, end: dt.datetime
    ) -> None:
        self._database = database
        self._here: str = finding["institution_id"]
        person = finding["person_id"]
        self._persons = names_of(database, person) if person else []
        self._span = begin, end

    def items(self) -> Iterator[Item]:
        """Yield every record."""
        yield from self._attendance()
        yield from self._runs()
        yield from self._checks()
        yield from self._stays()
        yield from self._drug_sales()
        yield from self._lines()
        if self._persons:
            yield from self._leaves()
            yield from self._prescriptions()
            yield from self._deaths()

    def coverage(self, begin: dt.datetime, end: dt.datetime) -> list[Row]:
        """Add up the hours of each device in each state."""
        return self._rows(
            "SELECT device_id, purpose, state, count(*) AS stretches, "
            "sum(epoch_us(least(to_at, ?)) - epoch_us(greatest(from_at, ?))) / 3600000000.0 AS hours "
            "FROM coverage WHERE institution_id = ? AND to_at > ? AND from_at < ? "
            "GROUP BY ALL ORDER BY device_id, purpose, state",
            end, begin, self._here, begin, end,
        )  # fmt: skip

    def _rows(self, sql: str, *values: Any) -> list[Row]:
        return [*run_tables.rows(self._database, sql, *values)]

    def _attendance(self) -> Iterator[Item]:
        rows = self._rows(
            "SELECT a.*, c.id IS NOT NULL AS cited FROM attendance a "
            "LEFT JOIN cited_ids c ON a.event_id = c.id "
            "WHERE c.id IS NOT NULL OR (a.person_id IN ? AND a.occurred_at BETWEEN ? AND ?)",
            self._persons, *self._span,
        )  # fmt: skip
        for row in rows:
            yield Item(
                "attendance", row["event_id"], row["occurred_at"], None, row["event_type"], row["outcome"],
                row["person_id"], row["institution_id"], row["device_id"], row["received_at"], row["cited"],
                bool(row["clock_trusted"]),
            )  # fmt: skip

    def _runs(self) -> Iterator[Item]:
        rows = self._rows(
            f"SELECT m.*, {_RUN} AS id, c.id IS NOT NULL AS cited FROM machine_sessions m "  # noqa: S608 - our own words
            f"LEFT JOIN cited_ids c ON {_RUN} = c.id AND m.institution_id = ? "
            "WHERE c.id IS NOT NULL OR (m.person_id IN ? AND m.started_at BETWEEN ? AND ?)",
            self._here, self._persons, *self._span,
        )  # fmt: skip
        for row in rows:
            yield Item(
                "machine_session", row["id"], row["started_at"], row["ended_at"], "run_source",
                row["source"] or "hospital", row["person_id"] or "", row["institution_id"], row["machine_id"],
                None, row["cited"],
            )  # fmt: skip

    def _checks(self) -> Iterator[Item]:
        rows = self._rows(
            "SELECT k.*, c.id IS NOT NULL AS cited FROM spot_checks k "
            "LEFT JOIN cited_ids c ON k.check_id = c.id "
            "WHERE c.id IS NOT NULL OR (k.person_id IN ? AND k.drawn_at BETWEEN ? AND ?)",
            self._persons, *self._span,
        )  # fmt: skip
        for row in rows:
            yield Item(
                "spot_check", row["check_id"], row["drawn_at"], None, "check", row["result"],
                row["person_id"], row["institution_id"], row["answered_by_device_id"] or "",
                row["answered_at"], row["cited"],
            )  # fmt: skip

    def _stays(self) -> Iterator[Item]:
        rows = self._rows(
            "SELECT s.*, c.id IS NOT NULL AS cited FROM stays s LEFT JOIN cited_ids c ON s.visit_id = c.id "
            "WHERE (c.id IS NOT NULL "
            "AND (len(?) = 0 AND s.institution_id = ? OR s.person_id IN ?)) "
            "OR (s.person_id IN ? AND s.admitted_at <= ? "
            "AND coalesce(s.discharged_at, ?) >= ?)",
            self._persons, self._here, self._persons,
            self._persons, self._span[1], self._span[1], self._span[0],
        )  # fmt: skip
        for row in rows:
            ward = " ".join(text for text in (row["ward"], row["bed"]) if text)
            yield Item(
                "stay", row["visit_id"], row["admitted_at"], row["discharged_at"], "", "", row["person_id"],
                row["institution_id"], ward, row["discharge_recorded_at"], row["cited"],
            )  # fmt: skip

    def _lines(self) -> Iterator[Item]:
        """Other lines that the finding names, such as one that has the bed already."""
        rows = self._rows(
            "SELECT l.* FROM claim_lines l JOIN cited_ids c ON l.line_id = c.id "
            "WHERE l.institution_id = ? OR l.person_id IN ?",
            self._here, self._persons,
        )  # fmt: skip
        for row in rows:
            yield Item(
                "line", row["line_id"], row["service_time"], None, "", row["item_name"] or row["item_code"],
                row["person_id"], row["institution_id"], "", None, cited=True,
            )  # fmt: skip

    def _drug_sales(self) -> Iterator[Item]:
        """Yield the sales that the finding names, and what was returned of their boxes."""
        rows = self._rows(
            f"WITH named AS (SELECT d.* FROM drug_sales d JOIN cited_ids c ON {_SALE} = c.id), "  # noqa: S608 - our own words
            "boxes AS (SELECT DISTINCT code FROM named WHERE code IS NOT NULL) "
            f"SELECT d.*, {_SALE} AS id, c.id IS NOT NULL AS cited FROM drug_sales d "
            f"LEFT JOIN cited_ids c ON {_SALE} = c.id "
            "WHERE c.id IS NOT NULL OR (d.kind = 'return' AND d.code IN (SELECT code FROM boxes))",
        )
        for row in rows:
            yield Item(
                "drug_sale", row["id"], row["sold_at"], None, "drug_event",
                "split" if row["split"] and row["kind"] == "sale" else row["kind"], row["person_id"] or "",
                row["institution_id"], row["code"] or row["item_code"] or "", None, row["cited"],
            )  # fmt: skip

    def _leaves(self) -> Iterator[Item]:
        rows = self._rows(
            "SELECT * FROM leaves WHERE person_id IN ? AND left_at <= ? "
            "AND coalesce(returned_at, due_back_at, ?) >= ?",
            self._persons, self._span[1], self._span[1], self._span[0],
        )  # fmt: skip
        for row in rows:
            yield Item(
                "leave", f"{row['visit_id']} {row['left_at']}", row["left_at"],
                row["returned_at"] or row["due_back_at"], "leave_kind", row["kind"], row["person_id"],
                row["institution_id"], row["approved_by"] or "", row["recorded_at"],
            )  # fmt: skip

    def _prescriptions(self) -> Iterator[Item]:
        first, last = (one.date() for one in self._span)
        rows = self._rows(
            "SELECT * FROM prescriptions WHERE person_id IN ? AND valid_from <= ? "
            "AND coalesce(valid_to, ?) >= ?",
            self._persons, last, last, first,
        )  # fmt: skip
        for row in rows:
            text = f"{row['sessions_per_week']:g}|{row['session_minutes']}"
            yield Item(
                "prescription", f"{row['institution_id']} {row['valid_from']} {row['modality']}",
                row["valid_from"], row["valid_to"], "item_class", row["modality"], row["person_id"],
                row["institution_id"], text,
            )  # fmt: skip

    def _deaths(self) -> Iterator[Item]:
        sql = "SELECT * FROM persons WHERE person_id IN ? AND death_date IS NOT NULL"
        for row in self._rows(sql, self._persons):
            yield Item("death", row["person_id"], row["death_date"], person_id=row["person_id"])


def agreement(lines: Sequence[Row], named: int) -> Mapping[str, int]:
    """Count the lines of a finding by their own verdict; those without one are `none`."""
    counts = Counter(row["verdict"] for row in lines)
    known = {verdict: counts[verdict] for verdict in ("contradicted", "insufficient", "supported")}
    return {**known, "none": max(named - len(lines), 0)}
