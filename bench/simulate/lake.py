"""`simulate_lake`: a nation's night straight to partitioned Parquet, with the truth of each line beside it.

Of each hundred claim lines ten are dialysis, forty bed days and fifty others, over seven service days; there
are as many attendance rows as lines. Everything is made region by region as arrays, so memory does not grow
with the lake, and each region has a generator of its own, spawned from the seed: the same seed and size give
the same bytes.

Every line in scope gets one case out of a closed list (`DIALYSIS_CASES`, `STAY_CASES`, `BED_CASES`), whose
evidence is written accordingly; cases of one person never touch each other, so that what the evidence allows
follows from the case and from the coverage of that day alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from renzheng.bench.simulate.county import (
    FIRST_DAY,
    ITEM_CLASSES,
    ITEM_NAMES,
    TRUTH_SCHEMA,
    Report,
    midnight_us,
)
from renzheng.contracts.errors import UsageError
from renzheng.contracts.tables import INPUT_TABLES, arrow_schema

DAYS = 7
LINES_A_REGION = 400_000
LINES_AN_INSTITUTION = 2_000
MINIMUM_LINES = 1_000
SECOND_US = 1_000_000
MINUTE, HOUR, DAY = 60, 3_600, 86_400
OTHER_CODES = 500
OUTAGE = (10 * HOUR, 16 * HOUR)
"""On a day with an outage the unit's only kiosk is dark from ten to four: 68 % of the day are left."""
OUTAGE_SHARE = 0.02
SESSION_DAYS = np.array([0, 2, 4])
SESSION_MINUTES = 240

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.object_]


class Case(NamedTuple):
    """One kind of line: its share of all, what it truly is, and what its evidence allows on a covered day."""

    share: float
    truth: str
    allows: str


DIALYSIS_CASES: Mapping[str, Case] = {
    "signed_in_and_out": Case(0.893, "genuine", "supported"),
    "machine_shows_end": Case(0.02, "genuine", "supported"),
    "manual_with_machine": Case(0.02, "genuine", "supported"),
    "manual_alone": Case(0.015, "genuine", "insufficient"),
    "no_sign_out": Case(0.015, "genuine", "insufficient"),
    "clock_untrusted": Case(0.005, "genuine", "insufficient"),
    "phantom": Case(0.012, "phantom_dialysis", "contradicted"),
    "lent_card": Case(0.005, "lent_card", "contradicted"),
    "impostor": Case(0.005, "impersonation", "contradicted"),
    "collusion": Case(0.005, "witness_collusion", "insufficient"),
    "padded": Case(0.005, "padded_session", "contradicted"),
}
"""A `padded` line is billed beside a genuine one, for the same session."""
DEAD_SHARE = 0.0005
REVERSED_SHARE = 0.005

HANG_BED_SHARE = 0.04
BED_CASES: Mapping[str, Case] = {
    "seen": Case(0.83, "genuine", "supported"),
    "not_seen": Case(0.14, "genuine", "insufficient"),
    "on_leave": Case(0.02, "genuine", "insufficient"),
    "checked_present": Case(0.01, "genuine", "supported"),
}
HANG_BED_CASES: Mapping[str, Case] = {
    "not_seen": Case(0.87, "hang_bed", "insufficient"),
    "elsewhere": Case(0.1, "hang_bed", "contradicted"),
    "checked_absent": Case(0.03, "hang_bed", "contradicted"),
}
TWO_PRESENCES_SHARE = 0.73
OTHER_LINES_A_VISIT = 2
OTHER_SIGN_IN_SHARE = 0.91


@dataclass(frozen=True, slots=True)
class LakeSummary:
    """What was written: rows per table, and lines per truth and what the evidence allows."""

    regions: int
    rows: Mapping[str, int]
    truths: Mapping[str, int]


def simulate_lake(lines: int, out: Path, *, seed: int = 1, report: Report = lambda *_: None) -> LakeSummary:
    """Write a lake of about `lines` claim lines into `out`.

    Claim lines and attendance are partitioned by service day and region, the other tables have a part a
    region.

    Args:
        lines: at least `MINIMUM_LINES`.
        out: folder; it may not hold a table yet.
        seed: of the generator.
        report: told of the regions done.

    Raises:
        UsageError: too few lines, or a folder that holds tables already.
    """
    present = [name for name in (*INPUT_TABLES, "truth.parquet") if (out / name).exists()]
    if lines < MINIMUM_LINES or present:
        raise UsageError(
            f"{out} holds {', '.join(present)} already."
            if present
            else f"{lines} lines are too few for a lake.",
            do="Name a new folder." if present else f"Take at least {MINIMUM_LINES}.",
        )
    out.mkdir(parents=True, exist_ok=True)
    regions = max(1, round(lines / LINES_A_REGION))
    writer = _Writer(out)
    writer.part("item_catalogue", _catalogue())
    seeds = np.random.SeedSequence(seed).spawn(regions)
    for number in range(regions):
        report("regions", number, regions)
        share = lines * (number + 1) // regions - lines * number // regions
        _Region(number, share, np.random.default_rng(seeds[number]), writer).write()
    writer.close()
    return LakeSummary(regions, writer.rows, dict(sorted(writer.truths.items())))


class _Writer:
    """Writes canonical tables as Parquet parts, and counts."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.rows: dict[str, int] = {}
        self.truths: dict[str, int] = {}
        self._truth = pq.ParquetWriter(out / "truth.parquet", TRUTH_SCHEMA, compression="zstd")

    def part(self, name: str, table: pa.Table, *folders: str) -> None:
        """Write one part of a table."""
        self.rows[name] = self.rows.get(name, 0) + table.num_rows
        if table.num_rows:
            path = self._out.joinpath(name, *folders, "part.parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path, compression="zstd", compression_level=1)

    def truth(self, institutions: pa.Array, line_ids: pa.Array, truth: Words, allows: Words) -> None:
        """Add to the truth."""
        rows = pa.table([institutions, line_ids, pa.array(truth), pa.array(allows)], schema=TRUTH_SCHEMA)
        self._truth.write_table(rows)
        for counted in rows.group_by(["truth", "allows"]).aggregate([([], "count_all")]).to_pylist():
            kind = f"{counted['truth']}/{counted['allows']}"
            self.truths[kind] = self.truths.get(kind, 0) + counted["count_all"]

    def close(self) -> None:
        """Finish the truth."""
        self._truth.close()


def _table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """Make a canonical table of columns; those not named are empty, those with one value are repeated."""
    rows = max(
        len(values) for values in columns.values() if values is not None and not isinstance(values, str)
    )
    arrays = []
    for kind in arrow_schema(INPUT_TABLES[name]):
        values = columns.get(kind.name)
        if values is None:
            arrays.append(pa.nulls(rows, kind.type))
        elif isinstance(values, str):
            arrays.append(pa.repeat(pa.scalar(values, kind.type), rows))
        else:
            array = values if isinstance(values, pa.Array) else pa.array(values)
            if pa.types.is_decimal(kind.type):
                array = array.cast(pa.int32())  # of which Arrow knows that its digits fit
            arrays.append(array.cast(kind.type))
    return pa.table(arrays, schema=arrow_schema(INPUT_TABLES[name]))


def _ids(prefix: str, numbers: Ints) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pc.cast(pa.array(numbers), pa.string()), "")


def _us(day: Ints, second: Ints) -> Ints:
    """Turn a day of the lake and a second of that local day into UTC microseconds."""
    return midnight_us() + (day * DAY + second) * SECOND_US


def _draw(random: np.random.Generator, cases: Mapping[str, Case], size: int) -> Ints:
    shares = np.array([case.share for case in cases.values()])
    return random.choice(len(cases), size, p=shares / shares.sum())


def _catalogue() -> pa.Table:
    codes = [*ITEM_CLASSES, *(f"D{number:03d}" for number in range(OTHER_CODES))]
    return _table(
        "item_catalogue",
        {"item_code": codes, "item_class": [ITEM_CLASSES.get(code, "other") for code in codes]},
    )


class _Region:
    """One region: its institutions, people, lines and evidence, gathered as tables and then written."""

    def __init__(self, number: int, lines: int, random: np.random.Generator, writer: _Writer) -> None:
        self.name = f"{370_000 + number}"
        self.random = random
        self.writer = writer
        self.lines = lines
        self.institutions = max(5, lines // LINES_AN_INSTITUTION)
        self.units = max(1, self.institutions // 5)
        self.dark = random.random((self.units, DAYS)) < OUTAGE_SHARE
        self._tables: dict[str, list[pa.Table]] = {}
        self._days: dict[str, list[Ints]] = {}
        self._event_number = 0

    def write(self) -> None:
        """Make and write everything of the region."""
        self._institutions()
        self._dialysis()
        self._beds()
        self._others()
        self._coverage()
        for name, tables in self._tables.items():
            table = pa.concat_tables(tables)
            if name not in self._days:
                self.writer.part(name, table, f"region={self.name}")
                continue
            day = np.concatenate(self._days[name])
            for one in np.unique(day).tolist():
                rows = table.take(pa.array(np.flatnonzero(day == one)))
                date = FIRST_DAY + timedelta(days=one)
                self.writer.part(name, rows, f"service_day={date}", f"region={self.name}")

    def _add(self, name: str, columns: Mapping[str, Any], day: Ints | None = None) -> None:
        """Gather rows of a table; with `day`, it is partitioned by service day."""
        self._tables.setdefault(name, []).append(_table(name, columns))
        if day is not None:
            self._days.setdefault(name, []).append(day)

    def _at_institutions(self, index: Ints) -> pa.Array:
        return _ids(f"H{self.name}-", index)

    def _persons(self, prefix: str, index: Ints) -> pa.Array:
        return _ids(f"{prefix}{self.name}-", index)

    def _institutions(self) -> None:
        index = np.arange(self.institutions)
        unit = index < self.units
        self._add(
            "institutions",
            {
                "institution_id": self._at_institutions(index),
                "name": self._at_institutions(index),
                "region_code": self.name,
                "timezone": "Asia/Shanghai",
                "dialysis_machines": pa.array(np.where(unit, 200, 0), mask=~unit),
                "beds": np.where(unit, 2000, 800),
            },
        )

    def _people(self, prefix: str, count: int, dead: Bools | None = None) -> None:
        index = np.arange(count)
        died = pa.scalar(FIRST_DAY - timedelta(days=1), pa.date32())
        alive = pa.array(np.ones(count, bool) if dead is None else ~dead)
        self._add(
            "persons",
            {
                "person_id": self._persons(prefix, index),
                "sex": pa.array(np.array(["M", "F"], object)[index % 2]),
                "birth_date": pa.array((index % 25_000 - 14_000).astype(np.int32), pa.int32()).cast(
                    pa.date32()
                ),
                "death_date": pc.if_else(alive, pa.scalar(None, pa.date32()), died),
            },
        )

    def _event(
        self, signs: "_Signs", outcome: str = "match", pad: str = "bona_fide", *, trusted: bool = True
    ) -> None:
        """Add attendance events of one kind; those that a nurse vouches for name one."""
        size = len(signs.day)
        number = np.arange(self._event_number, self._event_number + size)
        self._event_number += size
        at = _us(signs.day, signs.second)
        score = None if outcome == "manual" else np.full(size, 0.8 if outcome == "match" else 0.3)
        self._add(
            "attendance",
            {
                "event_id": _ids(f"E{self.name}-", number),
                "institution_id": self._at_institutions(signs.institution),
                "device_id": _ids(f"{signs.purpose}-{self.name}-", signs.institution),
                "person_id": signs.person,
                "event_type": signs.event_type,
                "purpose": signs.purpose,
                "occurred_at": at,
                "received_at": at + 3 * SECOND_US,
                "outcome": outcome,
                "comparison_score": score,
                "threshold": None if score is None else np.full(size, 0.62),
                "pad": pad,
                "witness_id": _ids(f"N{self.name}-", signs.institution * 8 + number % 8)
                if score is None
                else None,
                "clock_trusted": np.full(size, trusted),
            },
            signs.day,
        )

    def _claim(self, columns: Mapping[str, Any], day: Ints, second: Ints) -> None:
        self._add("claim_lines", {"service_time": _us(day, second), **columns}, day)

    # Dialysis: each patient comes on days 0, 2 and 4; each session is a line, and of a case of its own.

    def _dialysis(self) -> None:
        patients = max(1, self.lines // 10 // len(SESSION_DAYS))
        dead = self.random.random(patients) < DEAD_SHARE
        month = _Sessions.draw(self.random, patients, self.dark, dead)
        self._dialysis_evidence(month)
        truth, allows = month.truth()
        self._bill_dialysis(month, truth, allows)
        self._people("PD", patients, dead)
        index = np.arange(patients)
        self._add(
            "prescriptions",
            {
                "person_id": self._persons("PD", index),
                "institution_id": self._at_institutions(index % self.units),
                "valid_from": [FIRST_DAY - timedelta(days=90)] * patients,
                "modality": "haemodialysis",
                "sessions_per_week": np.full(patients, float(len(SESSION_DAYS))),
                "session_minutes": np.full(patients, SESSION_MINUTES),
            },
        )

    def _dialysis_evidence(self, month: "_Sessions") -> None:
        def signs(event_type: str, second: Ints, *cases: str) -> _Signs:
            chosen = month.among(*cases)
            person = self._persons("PD", month.patient[chosen])
            return _Signs(
                "dialysis", event_type, person, month.unit[chosen], month.day[chosen], second[chosen]
            )

        whole = ("signed_in_and_out", "padded")
        self._event(signs("sign_in", month.arrival, *whole, "machine_shows_end", "no_sign_out", "lent_card"))
        self._event(signs("sign_out", month.leaving, *whole, "lent_card"))
        self._event(signs("sign_in", month.arrival, "clock_untrusted"), trusted=False)
        self._event(signs("sign_out", month.leaving, "clock_untrusted"), trusted=False)
        self._event(signs("sign_in", month.arrival, "impostor"), "non_match")
        manual = signs("sign_in", month.arrival, "manual_with_machine", "manual_alone", "collusion")
        self._event(manual, "manual", "not_shown")
        run = month.among(*whole, "machine_shows_end", "manual_with_machine")
        self._add(
            "machine_sessions",
            {
                "institution_id": self._at_institutions(month.unit[run]),
                # a machine for each patient: a lake is about numbers, and nobody shares a machine
                "machine_id": _ids("m", month.patient[run]),
                "person_id": self._persons("PD", month.patient[run]),
                "started_at": _us(month.day[run], month.arrival[run] + 15 * MINUTE),
                "ended_at": _us(month.day[run], month.arrival[run] + (SESSION_MINUTES - 20) * MINUTE),
            },
        )

    def _bill_dialysis(self, month: "_Sessions", truth: Words, allows: Words) -> None:
        """Bill each session; the padded ones twice; and now and then one wrongly, then taken back."""
        size = len(month.day)
        extra = np.flatnonzero(month.among("padded"))
        wrong = np.flatnonzero(self.random.random(size) < REVERSED_SHARE)
        index = np.concatenate([np.arange(size), extra, wrong, wrong])
        number = np.arange(len(index))
        backs, wrongs = len(index) - len(wrong), len(index) - 2 * len(wrong)
        ids = _ids(f"LD{self.name}-", number)
        second = month.arrival[index] + 20 * MINUTE
        second[size:wrongs] = np.minimum(second[size:wrongs] + 6 * HOUR, 23 * HOUR)  # still the same day
        sign = np.where(number >= backs, -1, 1)
        taken_back = _ids(f"LD{self.name}-", number - len(wrong))
        self._claim(
            {
                "line_id": ids,
                "institution_id": self._at_institutions(month.unit[index]),
                "visit_id": _ids(f"VD{self.name}-", month.patient[index] * DAYS + month.day[index]),
                "person_id": self._persons("PD", month.patient[index]),
                "visit_type": "outpatient",
                "item_code": "HD",
                "item_name": ITEM_NAMES["HD"],
                "quantity": sign,
                "amount": sign * 400,
                "reverses_line_id": pc.if_else(
                    pa.array(number >= backs), taken_back, pa.scalar(None, pa.string())
                ),
                "department": "血液净化",
            },
            month.day[index],
            second,
        )
        absent = np.where(month.uncovered[extra], "insufficient", "contradicted").astype(object)
        padded = np.full(len(extra), "padded_session", object)
        self.writer.truth(
            self._at_institutions(month.unit[index[:wrongs]]),
            ids.slice(0, wrongs),
            np.concatenate([truth, padded]),
            np.concatenate([allows, absent]),
        )

    # Wards: each stay lasts all seven days; each day is a line, and of a case of its own.

    def _beds(self) -> None:
        stays = max(1, self.lines * 4 // 10 // DAYS)
        stay, day = np.repeat(np.arange(stays), DAYS), np.tile(np.arange(DAYS), stays)
        hang_bed = (self.random.random(stays) < HANG_BED_SHARE)[stay]
        real, false = (_draw(self.random, cases, len(day)) for cases in (BED_CASES, HANG_BED_CASES))
        case = np.where(hang_bed, np.array([*HANG_BED_CASES])[false], np.array([*BED_CASES])[real])
        self._bed_evidence(stay, day, case)
        self._bed_leaves(stay, day, case)
        self._bed_checks(stay, day, case)
        ids = _ids(f"LB{self.name}-", np.arange(len(day)))
        self._claim(
            {
                "line_id": ids,
                "institution_id": self._at_institutions(stay % self.institutions),
                "visit_id": _ids(f"VB{self.name}-", stay),
                "person_id": self._persons("PB", stay),
                "visit_type": "inpatient",
                "item_code": "BED",
                "item_name": ITEM_NAMES["BED"],
                "quantity": np.ones(len(day), np.int64),
                "amount": np.full(len(day), 40),
                "department": "内科",
            },
            day,
            np.full(len(day), 8 * HOUR),
        )

        def words(name: Literal["truth", "allows"]) -> Words:
            tables = (HANG_BED_CASES, false), (BED_CASES, real)
            bad, good = (
                np.array([getattr(c, name) for c in table.values()], object)[n] for table, n in tables
            )
            return np.where(hang_bed, bad, good)

        at = self._at_institutions(stay % self.institutions)
        self.writer.truth(at, ids, words("truth"), words("allows"))
        self._people("PB", stays)
        self._stays(stays)

    def _stays(self, stays: int) -> None:
        index = np.arange(stays)
        left = pa.array(_us(np.full(stays, DAYS + 2), np.full(stays, 10 * HOUR)), mask=index % 3 == 0)
        self._add(
            "stays",
            {
                "visit_id": _ids(f"VB{self.name}-", index),
                "institution_id": self._at_institutions(index % self.institutions),
                "person_id": self._persons("PB", index),
                "admitted_at": _us(np.full(stays, -3), np.full(stays, 9 * HOUR)),
                "discharged_at": left,
                "department": "内科",
                "ward": _ids("W", index % 20),
                "bed": _ids("B", index // self.institutions),
            },
        )

    def _bed_evidence(self, stay: Ints, day: Ints, case: npt.NDArray[Any]) -> None:
        for second_time in (False, True):
            chosen = case == "seen"
            if second_time:
                chosen &= self.random.random(len(day)) < TWO_PRESENCES_SHARE
            at = self.random.integers(9 * HOUR, 19 * HOUR, int(chosen.sum()))
            person, place = self._persons("PB", stay[chosen]), stay[chosen] % self.institutions
            self._event(_Signs("inpatient", "presence", person, place, day[chosen], at))
        away = case == "elsewhere"
        other = (stay[away] + 1) % self.institutions
        at = self.random.integers(9 * HOUR, 16 * HOUR, len(other))
        self._event(_Signs("outpatient", "sign_in", self._persons("PB", stay[away]), other, day[away], at))

    def _bed_leaves(self, stay: Ints, day: Ints, case: npt.NDArray[Any]) -> None:
        away = case == "on_leave"
        left, back = (
            _us(day[away] - 1, np.full(away.sum(), 20 * HOUR)),
            _us(day[away] + 1, np.full(away.sum(), 8 * HOUR)),
        )
        self._add(
            "leaves",
            {
                "visit_id": _ids(f"VB{self.name}-", stay[away]),
                "institution_id": self._at_institutions(stay[away] % self.institutions),
                "person_id": self._persons("PB", stay[away]),
                "kind": "leave",
                "left_at": left,
                "due_back_at": back,
                "returned_at": back,
                "approved_by": "D1",
                "recorded_at": left - HOUR * SECOND_US,
            },
        )

    def _bed_checks(self, stay: Ints, day: Ints, case: npt.NDArray[Any]) -> None:
        present = case == "checked_present"
        checked = present | (case == "checked_absent")
        drawn = _us(day[checked], self.random.integers(9 * HOUR, 19 * HOUR, int(checked.sum())))
        self._add(
            "spot_checks",
            {
                "check_id": _ids(f"C{self.name}-", np.flatnonzero(checked)),
                "round_id": _ids(f"R{self.name}-", day[checked]),
                "institution_id": self._at_institutions(stay[checked] % self.institutions),
                "visit_id": _ids(f"VB{self.name}-", stay[checked]),
                "person_id": self._persons("PB", stay[checked]),
                "drawn_at": drawn,
                "due_at": drawn + 30 * MINUTE * SECOND_US,
                "answered_at": drawn + 15 * MINUTE * SECOND_US,
                "result": pa.array(np.where(present[checked], "present", "absent").astype(object)),
                "inspector_id": _ids("I", day[checked]),
            },
        )

    def _others(self) -> None:
        """Bill outpatient visits of two lines each, whose lines no verdict is about."""
        visits = max(1, self.lines // 2 // OTHER_LINES_A_VISIT)
        people = max(1, visits // 3)
        day = self.random.integers(0, DAYS, visits)
        second = self.random.integers(8 * HOUR, 17 * HOUR, visits)
        person = np.arange(visits) % people
        place = person % self.institutions
        signed = self.random.random(visits) < OTHER_SIGN_IN_SHARE
        who = self._persons("PO", person[signed])
        self._event(_Signs("outpatient", "sign_in", who, place[signed], day[signed], second[signed]))
        visit = np.repeat(np.arange(visits), OTHER_LINES_A_VISIT)
        code = _ids("D", self.random.integers(0, OTHER_CODES, len(visit)))
        self._claim(
            {
                "line_id": _ids(f"LO{self.name}-", np.arange(len(visit))),
                "institution_id": self._at_institutions(place[visit]),
                "visit_id": _ids(f"VO{self.name}-", visit),
                "person_id": self._persons("PO", person[visit]),
                "visit_type": "outpatient",
                "item_code": code,
                "item_name": code,
                "quantity": np.ones(len(visit), np.int64),
                "amount": self.random.integers(1, 300, len(visit)),
                "doctor_id": _ids("D", place[visit]),
            },
            day[visit],
            second[visit] + 10 * MINUTE,
        )
        self._people("PO", people)

    def _coverage(self) -> None:
        """Report each unit's kiosk, with its outages, and each ward, day by day."""
        unit, day = np.repeat(np.arange(self.units), DAYS), np.tile(np.arange(DAYS), self.units)
        dark = self.dark[unit, day]
        stretches: list[tuple[Bools, int, int, str]] = [
            (~dark, 0, DAY, "up"),
            (dark, 0, OUTAGE[0], "up"),
            (dark, *OUTAGE, "down"),
            (dark, OUTAGE[1], DAY, "up"),
        ]
        for chosen, start, end, state in stretches:
            self._stretch("dialysis", unit[chosen], day[chosen], (start, end), state)
        place, day = (
            np.repeat(np.arange(self.institutions), DAYS),
            np.tile(np.arange(DAYS), self.institutions),
        )
        self._stretch("inpatient", place, day, (0, DAY), "up")

    def _stretch(self, purpose: str, place: Ints, day: Ints, seconds: tuple[int, int], state: str) -> None:
        start, end = seconds
        self._add(
            "coverage",
            {
                "institution_id": self._at_institutions(place),
                "device_id": _ids(f"{purpose}-{self.name}-", place),
                "purpose": purpose,
                "from_at": _us(day, np.full(len(day), start)),
                "to_at": _us(day, np.full(len(day), end)),
                "state": state,
            },
        )


@dataclass(frozen=True, slots=True)
class _Signs:
    """Who showed themself where and when, as arrays of one length; `institution` is an index."""

    purpose: str
    event_type: str
    person: pa.Array
    institution: Ints
    day: Ints
    second: Ints


@dataclass(frozen=True, slots=True)
class _Sessions:
    """Every dialysis line of a region as arrays of one length.

    Args:
        unit: index of the institution.
        arrival: local second of the day.
        leaving: likewise.
        case: index into `DIALYSIS_CASES`.
        silent: nothing of it was recorded: the kiosk was dark at arrival, or the patient is dead.
        uncovered: the unit's devices saw less of the day than a contradiction needs.
        dead: the patient died before.
    """

    patient: Ints
    unit: Ints
    day: Ints
    arrival: Ints
    leaving: Ints
    case: Ints
    silent: Bools
    uncovered: Bools
    dead: Bools

    @classmethod
    def draw(cls, random: np.random.Generator, patients: int, dark: Bools, dead: Bools) -> "_Sessions":
        """Draw three sessions for each patient."""
        patient = np.repeat(np.arange(patients), len(SESSION_DAYS))
        day = np.tile(SESSION_DAYS, patients)
        unit = patient % dark.shape[0]
        arrival = (patient % 3 * 5 + 7) * HOUR + random.integers(0, 50, len(day)) * MINUTE
        case = _draw(random, DIALYSIS_CASES, len(day))
        minutes = random.integers(SESSION_MINUTES - 40, SESSION_MINUTES + 30, len(day))
        minutes[case == [*DIALYSIS_CASES].index("lent_card")] = 15
        leaving = arrival + minutes * MINUTE
        outage = dark[unit, day]
        leaving = np.where(outage & (leaving >= OUTAGE[0]) & (leaving < OUTAGE[1]), OUTAGE[1] + 300, leaving)
        silent = (outage & (arrival >= OUTAGE[0]) & (arrival < OUTAGE[1])) | dead[patient]
        return cls(patient, unit, day, arrival, leaving, case, silent, outage, dead[patient])

    def among(self, *cases: str) -> Bools:
        """Give a mask of the lines of some cases, whose evidence was recorded."""
        return np.isin(self.case, [[*DIALYSIS_CASES].index(case) for case in cases]) & ~self.silent

    def truth(self) -> tuple[Words, Words]:
        """Say of each line what it truly is and what its evidence allows."""
        cases = DIALYSIS_CASES.values()
        truth = np.array([one.truth for one in cases], object)[self.case]
        allows = np.array([one.allows for one in cases], object)[self.case]
        padded = self.case == [*DIALYSIS_CASES].index("padded")
        truth[padded], allows[padded] = "genuine", "supported"  # this is the line beside the padded one
        late = self.among("lent_card") & (self.leaving - self.arrival >= SESSION_MINUTES * MINUTE // 2)
        allows[late] = "supported"  # the dark kiosk kept them waiting, and nothing tells why
        nobody = self.silent | (self.case == [*DIALYSIS_CASES].index("phantom"))
        allows[nobody & self.uncovered] = "insufficient"
        truth[self.dead], allows[self.dead] = "after_death", "contradicted"
        return truth, allows
