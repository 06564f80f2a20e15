"""Lines of service points: judged as dialysis is, by what the rooms, their machines and their staff show."""

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from renzheng.central.audit.oracle.billing import Line
from renzheng.central.audit.oracle.case import Broken, Case, Shared, verified
from renzheng.central.audit.oracle.dialysis import DialysisJudge, Judged
from renzheng.central.audit.oracle.sessions import Session, SessionBuilder, run_length
from renzheng.central.audit.oracle.shields import SIGHTINGS, shield
from renzheng.central.audit.oracle.values import Answer, LineKey, Parameters, Row
from renzheng.contracts.ids import normalised_id, tidy_id

ROLES = ("doctor", "nurse", "technician")
CLASSES = ("rehabilitation", "stimulation", "hyperbaric", "imaging")
JUDGED_OTHERWISE = frozenset(
    {
        "haemodialysis",
        "haemodiafiltration",
        "haemofiltration",
        "haemoperfusion",
        "peritoneal_dialysis",
        "bed_day",
    }
)
OPEN_PRESENCE = dt.timedelta(hours=12)
"""How long one of the staff was there of whom nobody told the end."""
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Point:
    """One service point, its lists read."""

    row: Row
    house: str
    kind: str
    codes: frozenset[str]
    classes: frozenset[str]
    devices: frozenset[str]
    machines: frozenset[str]
    minutes: int
    staff: frozenset[str]

    def holds(self, day: dt.date) -> bool:
        """Return whether it was there on a day."""
        return bool((self.row["valid_from"] or day) <= day <= (self.row["valid_to"] or day))

    def bills(self, line: Line) -> bool:
        """Return whether it is what a line bills, on whatever day."""
        return line.row["item_code"] in self.codes or line.item_class in self.classes


@dataclass(frozen=True)
class PointAnswer:
    """What is said of one line."""

    line: Line
    key: LineKey
    judged: Judged
    answer: Answer


class PlaceCase(Case):
    """The tables of one audit by place instead of institution."""

    def __init__(self, kept: Mapping[str, list[Row]], zones: Mapping[str, Any], broken: list[Broken]) -> None:
        self.shared = Shared()
        self.broken = broken
        self._person_of: dict[str, str] = {}
        self._kept = dict(kept)
        self._zones = dict(zones)


class PointJudge(DialysisJudge):
    """Judges the lines of places: a room is one of an institution, a person elsewhere is in another one."""

    def __init__(
        self,
        case: Case,
        sessions: Sequence[Session],
        lines: Sequence[Line],
        on: Callable[[dt.date], Parameters],
        *,
        everywhere: Case,
        houses: Mapping[str, str],
        at_bed: frozenset[str],
        pharmacies: frozenset[str],
        dialysis: Sequence[Session],
    ) -> None:
        super().__init__(case, sessions, lines, on)
        self._pharmacies = pharmacies
        bought = {str(row["event_id"]) for row in everywhere.rows("counter_identifications")}
        for person, mine in self._sessions_of.items():
            self._sessions_of[person] = [session for session in mine if session.id not in bought]
        self._everywhere = everywhere
        self._houses = houses
        self._at_bed = at_bed
        for session in dialysis:
            self._sessions_of[session.place[1]].append(session)

    def _house(self, place: str) -> str:
        return self._houses.get(place, place)

    def _seen_elsewhere(
        self, line: Line, begin: dt.datetime, end: dt.datetime, *, at_fee: bool = False
    ) -> set[str]:
        """Return nothing for a pharmacy's fee: somebody else may have come, wherever the patient was."""
        if at_fee and line.institution in self._pharmacies:
            return set()
        return super()._seen_elsewhere(line, begin, end, at_fee=at_fee)

    def _may_be_at_bed(self, line: Line) -> bool:
        return line.institution in self._at_bed

    def sessions_of(self, line: Line) -> list[Session]:
        """Return the sessions that serve a line."""
        return list(self._hours[line.key].sessions) if line.hourly else [*line.sessions, *line.late]


class PointCase:
    """The service points of a case, and the lines that they answer for.

    Args:
        case: the tables.
        lines: bills in and around the period.
        on: the parameters of a day.
    """

    def __init__(self, case: Case, lines: Sequence[Line], on: Callable[[dt.date], Parameters]) -> None:
        self._case = case
        self._on = on
        points = [_point(row) for row in case.rows("service_points")]
        self._places: dict[str, list[Point]] = dict(_places(points, case))
        self._houses = {place: mine[0].house for place, mine in self._places.items()}
        self._lines = [placed for line in lines if (placed := self._placed(line)) is not None]
        self._days = sorted(line.day for line in self._lines)

    def judge(self, dialysis: Sequence[Session]) -> Iterator[PointAnswer]:
        """Answer every line that a service point covers."""
        if not self._lines:
            return
        case = self._by_place()
        sessions = list(SessionBuilder(case, self._at_points).all())
        at_bed = (place for place, mine in self._places.items() if any(_to_the_bed(one) for one in mine))
        judge = PointJudge(
            *(case, sessions, self._lines, self._at_points),
            everywhere=self._case,
            houses=self._houses,
            at_bed=frozenset(at_bed),
            pharmacies=frozenset(
                place for place, mine in self._places.items() if any(one.kind == "pharmacy" for one in mine)
            ),
            dialysis=dialysis,
        )
        judged = list(judge.judge())
        shield(case, judge, judged, [])
        for one in judged:
            if one.verdict == "supported" and self._lacks_staff(one.line, judge.sessions_of(one.line)):
                one.verdict, one.reason = "insufficient", "staff_not_shown"
            ratio, evidence = judge.coverage_ratio(one.line), tuple(sorted(one.evidence))
            yield PointAnswer(
                one.line,
                (self._houses[one.line.institution], one.line.key[1]),
                one,
                Answer(one.verdict, one.reason, ratio, evidence, one.line.amount, one.line.amount),
            )

    def _at_points(self, day: dt.date) -> Parameters:
        return self._on(day).at_points

    def _placed(self, line: Line) -> Line | None:
        """Return the line at its place, each code a class of its own; None where no point covers it."""
        if line.taken_back or line.item_class in JUDGED_OTHERWISE:
            return None
        for place, points in self._places.items():
            mine = [one for one in points if one.house == line.institution]
            if any(one.bills(line) and one.holds(line.service_day) for one in mine):
                row = {**line.row, "institution_id": place, "catalogue_class": line.item_class}
                return _PointLine(**{**_fields(line), "row": row, "item_class": line.row["item_code"]})
        return None

    # -- the tables by place

    def _by_place(self) -> PlaceCase:
        kept: dict[str, list[Row]] = {
            name: [] for name in ("leaves", "spot_checks", "counter_identifications")
        }
        kept["persons"] = list(self._case.rows("persons"))
        kept["attendance"] = list(self._attendance())
        kept["machine_sessions"] = list(self._runs())
        kept["prescriptions"] = list(self._asked())
        kept["coverage"] = [row for place in self._places for row in self._coverage(place)]
        kept["stays"] = [
            {**row, "institution_id": place}
            for row in self._case.rows("stays")
            for place in self._places_of(row["institution_id"])
        ]
        zones = {
            place: self._case._zones[house]  # noqa: SLF001 - a case of its own kind
            for place, house in self._houses.items()
            if house in self._case._zones  # noqa: SLF001
        }
        broken = [
            replace(row, institution_id=place)
            for row in self._case.broken
            if row.table in SIGHTINGS and row.institution_id is not None
            for place in self._places_of(row.institution_id)
        ]
        return PlaceCase(kept, zones, broken)

    def _places_of(self, house: str) -> list[str]:
        return [place for place, there in self._houses.items() if there == house]

    def _attendance(self) -> Iterator[Row]:
        billed = {(line.institution, line.person) for line in self._lines}
        for event in self._case.rows("attendance"):
            for place in self._places_of(event["institution_id"]):
                points = self._places[place]
                if event["purpose"] in {point.kind for point in points}:
                    own = {**event, "institution_id": place, "purpose": "dialysis"}
                    yield own
                    one_visit = any(point.minutes == 0 for point in points)
                    if one_visit and event["event_type"] == "sign_in" and verified(event):
                        yield {**own, "event_type": "presence", "session_id": None}
                elif event["purpose"] != "inpatient" and (place, event["person_id"]) in billed:
                    yield {**event, "institution_id": place, "purpose": "other"}
        yield from self._purchases()

    def _purchases(self) -> Iterator[Row]:
        """Yield purchases at counters: a sign-in where the buyer was identified and had the right to buy."""
        for row in self._case.rows("counter_identifications"):
            known = row["outcome"] == "manual" or (row["outcome"], row["pad"]) == ("match", "bona_fide")
            right = row["relation"] == "self" or (row["basis"] != "not_shown" and row["both_papers"])
            told = {
                "event_type": "sign_in" if known and right else "identity_check",
                "outcome": "match" if known and right else "not_acquired",
                "pad": "bona_fide" if known and right else "not_shown",
                "purpose": "dialysis",
                "session_id": None,
                "witness_id": None,
            }
            for place in self._places_of(row["institution_id"]):
                if row["purpose"] in {point.kind for point in self._places[place]}:
                    yield {**row, **told, "institution_id": place}
                    if any(point.minutes == 0 for point in self._places[place]) and verified({**row, **told}):
                        yield {**row, **told, "institution_id": place, "event_type": "presence"}

    def _runs(self) -> Iterator[Row]:
        for run in self._case.rows("machine_sessions"):
            for place in self._places_of(run["institution_id"]):
                if any(run["machine_id"] in point.machines for point in self._places[place]):
                    yield {**run, "institution_id": place}

    def _asked(self) -> Iterator[Row]:
        """Return what each person who was billed is asked for at each of the points that bill it."""
        for line in self._lines:
            for point in self._places[line.institution]:
                if _bills(point, line):
                    yield {
                        "institution_id": line.institution,
                        "person_id": line.person,
                        "valid_from": point.row["valid_from"] or dt.date.min,
                        "valid_to": point.row["valid_to"],
                        "modality": "point",
                        "session_minutes": point.minutes,
                    }

    # -- what was watched

    def _coverage(self, place: str) -> Iterator[Row]:
        """Return the stretches in which all that must watch a place was watching."""
        early = dt.datetime.combine(self._days[0] - dt.timedelta(days=80), dt.time())
        late = dt.datetime.combine(self._days[-1] + dt.timedelta(days=10), dt.time())
        yield self._stretch(place, early, early, "down")
        watching = [element for point in self._places[place] for element in self._elements(place, point)]
        edges = sorted({early, late, *(at for element in watching for span in element for at in span)})
        for begin, end in itertools.pairwise(edges):
            inside = early <= begin and end <= late
            if inside and all(any(a <= begin and end <= b for a, b in element) for element in watching):
                yield self._stretch(place, begin, end, "up")

    def _stretch(self, place: str, begin: dt.datetime, end: dt.datetime, state: str) -> Row:
        return {
            "institution_id": place,
            "device_id": place,
            "purpose": "dialysis",
            "from_at": self._case.instant(self._houses[place], begin),
            "to_at": self._case.instant(self._houses[place], end),
            "state": state,
        }

    def _elements(self, place: str, point: Point) -> Iterator[list[tuple[dt.datetime, dt.datetime]]]:
        """Yield, for each thing that must have watched a point, the local stretches in which it did."""
        always = []
        if point.row["valid_from"]:
            always.append((_midnight(dt.date.min), _midnight(point.row["valid_from"])))
        if point.row["valid_to"]:
            always.append((_midnight(point.row["valid_to"] + DAY), _midnight(dt.date.max)))
        log = tidy_id(point.row["log_source"] or "")
        if point.devices:
            yield always + self._up(point, point.devices)
        if log:
            yield always + self._up(point, {log})
        if log and not point.devices:
            yield always + self._without_unnamed_runs(place)
        if not log and not point.devices:
            yield always

    def _up(self, point: Point, devices: frozenset[str] | set[str]) -> list[tuple[dt.datetime, dt.datetime]]:
        rows = self._case.coverage.get((point.house, point.kind), ())
        found = sorted(
            (self._case.local(point.house, row["from_at"]), self._case.local(point.house, row["to_at"]))
            for row in rows
            if row["state"] == "up" and row["device_id"] in devices
        )
        united: list[tuple[dt.datetime, dt.datetime]] = []
        for begin, end in found:
            if united and begin <= united[-1][1]:
                united[-1] = united[-1][0], max(end, united[-1][1])
            else:
                united.append((begin, end))
        return united

    def _without_unnamed_runs(self, place: str) -> list[tuple[dt.datetime, dt.datetime]]:
        house = self._houses[place]
        dark = set()
        for run in self._case.rows("machine_sessions"):
            least = [point.minutes for point in self._places[place] if run["machine_id"] in point.machines]
            if run["institution_id"] != house or run["person_id"] is not None or not least:
                continue
            if run_length(run) * 2 >= dt.timedelta(minutes=min(least)):
                first, last = (self._case.day(house, run[name]) for name in ("started_at", "ended_at"))
                dark |= {first + DAY * number for number in range((last - first).days + 1)}
        first = self._days[0] - dt.timedelta(days=90)
        days = [first + DAY * number for number in range((self._days[-1] - first).days + 20)]
        return [(_midnight(day), _midnight(day + DAY)) for day in days if day not in dark]

    # -- staff

    def _lacks_staff(self, line: Line, sessions: Sequence[Session]) -> bool:
        """Return whether somebody of the staff whom every point of the line asks for was not shown."""
        if not self._on(line.service_day).staff_must_be_shown:
            return False
        points = self._places[line.institution]
        needed = [point.staff for point in points if _bills(point, line) and point.holds(line.service_day)]
        roles = frozenset.intersection(*needed) if needed else frozenset()
        return any(not self._staff_shown(line, session, role) for session in sessions for role in roles)

    def _staff_shown(self, line: Line, session: Session, role: str) -> bool:
        near = self._on(line.day).near
        begin, end = session.start - near, max(session.start, session.ended_at) + near
        known = {None, *(point.row["point_id"] for point in self._places[line.institution])}
        return any(
            row["institution_id"] == self._houses[line.institution]
            and (row["role"], row["state"]) == (role, "present")
            and row["shown_by"] in {"face", "passkey"}
            and row["clock_trusted"]
            and row["point_id"] in known
            and row["from_at"] <= end
            and (row["to_at"] or row["from_at"] + OPEN_PRESENCE) >= begin
            for row in self._case.rows("staff_presence")
        )


class _PointLine(Line):
    """A line of a place: treatments of several codes share its sessions, on whatever day they are entered."""

    @property
    def alone(self) -> bool:
        return False


def _fields(line: Line) -> dict[str, Any]:
    kept = ("quantity", "amount", "service_day", "unit", "taken_back", "day", "fund_back")
    return {name: getattr(line, name) for name in kept}


def _bills(point: Point, placed: Line) -> bool:
    return placed.row["item_code"] in point.codes or placed.row["catalogue_class"] in point.classes


def _to_the_bed(point: Point) -> bool:
    return not (point.row["room"] or "").strip()


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time())


def _listed(text: str | None) -> set[str]:
    return {part.strip() for part in (text or "").replace("\uff1b", ";").split(";")} - {""}


def _point(row: Row) -> Point:
    return Point(
        row,
        row["institution_id"],
        row["kind"],
        frozenset(map(normalised_id, _listed(row["item_codes"]))),
        frozenset(_listed(row["item_classes"]) & set(CLASSES)),
        frozenset(map(tidy_id, _listed(row["device_ids"]))),
        frozenset(map(tidy_id, _listed(row["machine_ids"]))),
        max(0, row["minimum_minutes"] or 0),
        frozenset(_listed(row["staff_needed"]) & set(ROLES)),
    )


def _places(points: Sequence[Point], case: Case) -> Iterator[tuple[str, list[Point]]]:
    """Yield the points of each institution that share, one with the next, a kind or something billed."""
    houses: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        houses[point.house].append(point)
    for house, mine in sorted(houses.items()):
        groups: list[list[Point]] = []
        for point in mine:
            near = [group for group in groups if _share(group, [point], case)]
            groups = [group for group in groups if group not in near]
            groups.append([point, *itertools.chain.from_iterable(near)])
        for group in groups:
            yield f"{house} {min(point.kind for point in group)}", group


def _share(one: Sequence[Point], other: Sequence[Point], case: Case) -> bool:
    def billed(points: Sequence[Point]) -> set[str]:
        codes = {code for point in points for code in point.codes}
        return codes | {f"class {name}" for point in points for name in point.classes}

    def classes(points: Sequence[Point]) -> set[str]:
        rows = (row for point in points for code in point.codes for row in case.items.get(code, ()))
        return {f"class {row['item_class']}" for row in rows}

    kinds = {point.kind for point in one} & {point.kind for point in other}
    mine, theirs = billed(one), billed(other)
    return bool(kinds or mine & theirs or classes(one) & theirs or mine & classes(other))
