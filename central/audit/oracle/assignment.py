"""Which session serves which line: the best of all assignments.

The best has as many lines as possible supported, then as many as possible served at all, then the least sum
of gaps in time; of equal ones the earliest line takes the earliest session. A line is served when it has all
the sessions that it needs, and supported when all of these support it.
"""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from renzheng.central.audit.oracle.sessions import Session
from renzheng.central.audit.oracle.values import NOTHING

Plan = Literal["supported", "served", "left"]


@dataclass(frozen=True)
class Demand:
    """A line that looks for sessions.

    Args:
        at: the time of its fee.
        name: its id, for lines of the same time.
        needed: how many sessions it needs.
        choices: those it could have.
    """

    at: dt.datetime
    name: str
    needed: int
    choices: tuple[Session, ...]


def gap(session: Session, at: dt.datetime) -> dt.timedelta:
    """Return how far a fee lies from a session; nothing when within it."""
    return max(NOTHING, session.start - at, at - session.ended_at)


def assign(wishes: Sequence[Demand]) -> list[list[Session]]:
    """Return the sessions of each wish, in the order of the wishes."""
    found: dict[int, list[Session]] = {}
    for group in _tangles(wishes):
        group.sort(key=lambda place: (wishes[place].at, wishes[place].name))
        some = [wishes[place] for place in group]
        found.update(zip(group, _leftovers(some, _best(some)), strict=True))
    return [found[place] for place in range(len(wishes))]


def _tangles(wishes: Sequence[Demand]) -> list[list[int]]:
    """Part the wishes into groups that have no session in common."""
    groups: list[tuple[set[str], list[int]]] = []
    for place, wish in enumerate(wishes):
        sessions, members = {session.id for session in wish.choices}, [place]
        apart = []
        for others, there in groups:
            if others & sessions:
                sessions, members = sessions | others, members + there
            else:
                apart.append((others, there))
        groups = [*apart, (sessions, members)]
    return [members for _, members in groups]


def _best(wishes: Sequence[Demand]) -> list[list[Session]]:
    """Try every plan for the wishes, and take the best assignment that follows one."""
    best: tuple[tuple[int, int, int], list[list[Session]]] | None = None
    for plans in itertools.product(*(_open_to(wish) for wish in wishes)):
        worth = plans.count("supported"), len(plans) - plans.count("left")
        if best is not None and worth < best[0][:2]:
            continue
        cheapest = _follow(wishes, plans)
        if cheapest is not None and (best is None or (*worth, -cheapest[0]) > best[0]):
            best = (*worth, -cheapest[0]), cheapest[1]
    assert best is not None  # to leave every line is always possible
    return best[1]


def _open_to(wish: Demand) -> Iterator[Plan]:
    """Return what may be tried for a wish; `served` means served but not supported."""
    if sum(session.supporting for session in wish.choices) >= wish.needed:
        yield "supported"
    if len(wish.choices) >= wish.needed:
        yield "served"
    yield "left"


def _follow(wishes: Sequence[Demand], plans: Sequence[Plan]) -> tuple[int, list[list[Session]]] | None:
    """Find the cheapest way to follow a plan, with its cost; None when there is none.

    A cost is the gap, and below the smallest gap a bit for each pair: the earliest line's earliest session
    weighs most.
    """
    pairs = [
        (place, session)
        for place, wish in enumerate(wishes)
        for session in sorted(wish.choices, key=lambda s: (s.start, s.id))
    ]
    costs = {}
    for rank, (place, session) in enumerate(pairs):
        if plans[place] == "served" or (plans[place] == "supported" and session.supporting):
            microseconds = gap(session, wishes[place].at) // dt.timedelta(microseconds=1)
            costs[place, session.id] = (microseconds << len(pairs)) - (1 << (len(pairs) - 1 - rank))
    seats = [place for place, wish in enumerate(wishes) for _ in range(wish.needed) if plans[place] != "left"]
    taken = _cheapest(seats, costs)
    if taken is None:
        return None
    sessions = {session.id: session for _, session in pairs}
    ways: list[list[Session]] = [[] for _ in wishes]
    for session_id, seat in taken.items():
        ways[seats[seat]].append(sessions[session_id])
    return sum(costs[seats[seat], session_id] for session_id, seat in taken.items()), ways


def _cheapest(  # noqa: C901 - the method is known in this form
    seats: Sequence[int], costs: Mapping[tuple[int, str], int]
) -> dict[str, int] | None:
    """Give every seat a session of its own at the least cost; None when they do not suffice.

    Seat after seat takes the cheapest way to a free session, by which those before it may have to change
    theirs (Bellman and Ford's way, since changes can lower the cost).
    """
    taken: dict[str, int] = {}
    for seat in range(len(seats)):
        cost: dict[str, int] = {}
        came_from: dict[str, str | None] = {}
        for (place, session), price in costs.items():
            if place == seats[seat]:
                cost[session], came_from[session] = price, None
        changed = True
        while changed:
            changed = False
            for session, other in list(taken.items()):
                if session not in cost:
                    continue
                for (place, following), price in costs.items():
                    if place != seats[other] or following == session:
                        continue
                    total = cost[session] - costs[place, session] + price
                    if following not in cost or total < cost[following]:
                        cost[following], came_from[following], changed = total, session, True
        free = min((s for s in cost if s not in taken), key=lambda s: cost[s], default=None)
        if free is None:
            return None
        here: str = free
        while (before := came_from[here]) is not None:
            taken[here], here = taken[before], before
        taken[here] = seat
    return taken


def _leftovers(wishes: Sequence[Demand], ways: list[list[Session]]) -> list[list[Session]]:
    """Give lines that need several sessions, and could not have all, what is free: their verdict shows it."""
    used = {session.id for way in ways for session in way}
    for wish, way in zip(wishes, ways, strict=True):
        if wish.needed > 1 and not way:
            free = [session for session in wish.choices if session.id not in used]
            free.sort(key=lambda s: (not s.supporting, gap(s, wish.at), s.start, s.id))
            way.extend(free[: wish.needed])
            used |= {session.id for session in way}
    return ways


@dataclass(frozen=True)
class HourWish:
    """A line of hours that looks for shown time.

    Args:
        at: the time of its fee.
        name: its id, for lines of the same time.
        asked: the time that must be shown.
        choices: sessions of its window, and those before it, which it may mean when it was entered late.
    """

    at: dt.datetime
    name: str
    asked: dt.timedelta
    choices: tuple[Session, ...]
    late: tuple[Session, ...]


@dataclass
class HourShare:
    """What a line of hours was given."""

    asked: dt.timedelta
    sessions: list[Session] = field(default_factory=list)
    silent: list[Session] = field(default_factory=list)
    """Sessions of its window that show no time, for a line that found too little."""
    given: dt.timedelta = NOTHING
    late: bool = False

    @property
    def whole(self) -> bool:
        """Return whether all the asked time is shown."""
        return self.given >= self.asked


def give_hours(wishes: Sequence[HourWish]) -> list[HourShare]:
    """Give each line the time it asks, the earliest first, from the nearest sessions; its window first."""
    left: dict[str, dt.timedelta] = {}
    found: dict[int, HourShare] = {}
    for place in sorted(range(len(wishes)), key=lambda n: (wishes[n].at, wishes[n].name)):
        wish = wishes[place]
        share = found[place] = HourShare(wish.asked)
        for is_late, sessions in ((False, wish.choices), (True, wish.late)):
            for session in sorted(sessions, key=lambda s: (gap(s, wish.at), s.start, s.id)):
                time = min(left.get(session.id, session.hours), wish.asked - share.given)
                if time > NOTHING:
                    left[session.id] = left.get(session.id, session.hours) - time
                    share.given += time
                    share.sessions.append(session)
                    share.late |= is_late
        if not share.whole:
            share.silent = [session for session in wish.choices if session.hours == NOTHING]
    return [found[place] for place in range(len(wishes))]
