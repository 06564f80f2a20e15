"""Which session serves which line: the best of all assignments.

The best has as many lines as possible supported, then as many as possible served at all, then the least sum
of gaps in time; of equal ones the earliest line takes the earliest session. A line is served when it has all
the sessions that it needs, and supported when all of these support it.
"""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from renzheng.central.audit.oracle.sessions import Session
from renzheng.central.audit.oracle.values import NOTHING

Plan = Literal["supported", "served", "left"]


@dataclass(frozen=True)
class Wish:
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


def assign(wishes: Sequence[Wish]) -> list[list[Session]]:
    """Return the sessions of each wish, in the order of the wishes."""
    found: dict[int, list[Session]] = {}
    for group in _tangles(wishes):
        group.sort(key=lambda place: (wishes[place].at, wishes[place].name))
        some = [wishes[place] for place in group]
        found.update(zip(group, _leftovers(some, _best(some)), strict=True))
    return [found[place] for place in range(len(wishes))]


def _tangles(wishes: Sequence[Wish]) -> list[list[int]]:
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


def _best(wishes: Sequence[Wish]) -> list[list[Session]]:
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


def _open_to(wish: Wish) -> Iterator[Plan]:
    """Return what may be tried for a wish; `served` means served but not supported."""
    if sum(session.supporting for session in wish.choices) >= wish.needed:
        yield "supported"
    if len(wish.choices) >= wish.needed:
        yield "served"
    yield "left"


def _follow(wishes: Sequence[Wish], plans: Sequence[Plan]) -> tuple[int, list[list[Session]]] | None:
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


def _leftovers(wishes: Sequence[Wish], ways: list[list[Session]]) -> list[list[Session]]:
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
        order: place among the lines.
        asked: the time that must be shown.
        choices: sessions by id, with the time that each has left.
    """

    order: tuple[dt.datetime, str, str]
    asked: dt.timedelta
    choices: Mapping[str, dt.timedelta]


def serve_hours(wishes: Sequence[HourWish]) -> list[bool]:
    """Return which lines of hours are served whole: as many as possible, the earliest first.

    Choices of the same session must come with the same time.
    """
    order = sorted(range(len(wishes)), key=lambda place: wishes[place].order)
    for number in range(len(wishes), 0, -1):
        for some in itertools.combinations(order, number):
            if _suffices([wishes[place] for place in some]):
                return [place in some for place in range(len(wishes))]
    return [False for _ in wishes]


def time_left(wishes: Sequence[HourWish], served: Sequence[bool]) -> dict[str, dt.timedelta]:
    """Return what is left of each session when the served lines, earliest first, take of the nearest."""
    left: dict[str, dt.timedelta] = {}
    for wish in wishes:
        left.update(wish.choices)
    chosen = [wish for wish, is_served in zip(wishes, served, strict=True) if is_served]
    for session, amount in _flow(chosen).items():
        left[session] -= amount
    return left


def _suffices(wishes: Sequence[HourWish]) -> bool:
    return sum(_flow(wishes).values(), NOTHING) == sum((wish.asked for wish in wishes), NOTHING)


def _flow(wishes: Sequence[HourWish]) -> dict[str, dt.timedelta]:
    """Take as much of the asked time as possible from the sessions; returns what each gives.

    A line takes what is free; then it takes over what another line had of a session, which that one makes up
    for elsewhere.
    """
    left: dict[str, dt.timedelta] = {}
    for wish in wishes:
        left.update(wish.choices)
    whole, given = dict(left), [dict.fromkeys(wish.choices, NOTHING) for wish in wishes]
    for place, wish in enumerate(wishes):
        missing = wish.asked
        while missing > NOTHING and (way := _way(place, wishes, given, left)):
            step = min([missing, left[way[-1][1]], *(given[p][s] for (p, _), (_, s) in _turns(way))])
            for (line, session), (other, _) in zip(way, [*way[1:], (None, None)], strict=True):
                given[line][session] += step
                if other is not None:
                    given[other][session] -= step
            left[way[-1][1]] -= step
            missing -= step
    return {session: whole[session] - left[session] for session in whole}


def _turns(way: Sequence[tuple[int, str]]) -> list[tuple[tuple[int, str], tuple[int, str]]]:
    """Return for each step but the last the line that gives way, with the session it gives up."""
    return [((following[0], ""), (0, step[1])) for step, following in itertools.pairwise(way)]


def _way(
    place: int,
    wishes: Sequence[HourWish],
    given: Sequence[Mapping[str, dt.timedelta]],
    left: Mapping[str, dt.timedelta],
) -> list[tuple[int, str]]:
    """Find steps (line, session) from a line to a session with free time, over lines that give way."""
    ways: list[list[tuple[int, str]]] = [[(place, session)] for session in sorted(wishes[place].choices)]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        session = way[-1][1]
        if session in seen:
            continue
        seen.add(session)
        if left[session] > NOTHING:
            return way
        for other in range(len(wishes)):
            if given[other].get(session, NOTHING) > NOTHING:
                ways += [[*way, (other, next_one)] for next_one in sorted(wishes[other].choices)]
    return []
