"""Assign sessions to billed lines where they compete for them.

The best assignment has as many lines as possible supported, then as many as possible served at all; among
those the sum of the gaps in time is least; and if that still leaves a choice, the earliest line takes the
earliest session. So the answer depends neither on the order of the input nor on the engine or its threads.

A line is served when it has all the sessions it needs, and supported when all of these can support it.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MOST_COMBINATIONS = 2187
"""Of plans for lines that need several sessions (three a line: seven such lines) tried exactly."""

Plan = Literal["supported", "served", "left"]


@dataclass(frozen=True)
class Choice:
    """One session that one line could take; all choices of one call are of one person, institution and class.

    Args:
        line: the line's number in this run.
        line_id: the line's id, which orders lines of one moment.
        service_time: its service time, microseconds.
        needed: how many sessions the line needs, at least 1.
        session: the session's id.
        signed_in_at: its beginning, microseconds.
        supporting: whether the session would support the line.
        gap_us: distance in time between line and session, 0 when the service time lies within the session.
    """

    line: int
    line_id: str
    service_time: int
    needed: int
    session: str
    signed_in_at: int
    supporting: bool
    gap_us: int


@dataclass(frozen=True)
class HourChoice:
    """One session from which one line by the hour could take time; all of one person, institution and class.

    Args:
        line: the line's number in this run.
        line_id: the line's id, which orders lines of one moment.
        service_time: its service time, microseconds.
        hours_us: the time that must be shown for it, microseconds.
        session: the session's id.
        signed_in_at: its beginning, microseconds.
        shown_us: the time that the session shows; 0 when it shows none.
        gap_us: distance in time between line and session.
        late: whether the session lies before the line's window.
    """

    line: int
    line_id: str
    service_time: int
    hours_us: int
    session: str
    signed_in_at: int
    shown_us: int
    gap_us: int
    late: bool


@dataclass(frozen=True)
class TakenTime:
    """The time that a line takes from a session; 0 when the session shows none, and is all there is."""

    line: int
    session: str
    used_us: int
    late: bool


Assignment = Mapping[int, tuple[str, ...]]
"""The sessions of each line that has any."""


def give_time(choices: Iterable[HourChoice]) -> Iterator[TakenTime]:
    """Give each line by the hour the time it asks for, the earliest line first, from the nearest sessions.

    Sessions of its window come before late ones; what one line does not need is left for the next. A line
    that finds too little also names the sessions of its window that show no time.
    """
    by_line: dict[tuple[int, str, int], list[HourChoice]] = defaultdict(list)
    left: dict[str, int] = {}
    for choice in choices:
        by_line[choice.service_time, choice.line_id, choice.line].append(choice)
        left[choice.session] = choice.shown_us
    for _, mine in sorted(by_line.items()):
        lacking = mine[0].hours_us
        for choice in sorted(mine, key=lambda c: (c.late, c.gap_us, c.signed_in_at, c.session)):
            used = min(lacking, left[choice.session])
            if used > 0:
                left[choice.session] -= used
                lacking -= used
                yield TakenTime(choice.line, choice.session, used, choice.late)
        if lacking > 0:
            silent = (choice for choice in mine if choice.shown_us == 0 and not choice.late)
            yield from (TakenTime(choice.line, choice.session, 0, late=False) for choice in silent)


def assign(choices: Iterable[Choice]) -> Assignment:
    """Find the best assignment of sessions to lines."""
    assigned: dict[int, tuple[str, ...]] = {}
    for tangle in _tangles(choices):
        assigned.update(_solve(tangle))
    return assigned


def _tangles(choices: Iterable[Choice]) -> Iterator[list[Choice]]:
    """Split choices into groups that share neither line nor session."""
    of_line: dict[int, list[Choice]] = defaultdict(list)
    of_session: dict[str, list[Choice]] = defaultdict(list)
    for choice in choices:
        of_line[choice.line].append(choice)
        of_session[choice.session].append(choice)
    seen: set[int] = set()
    for line in sorted(of_line):
        if line in seen:
            continue
        seen.add(line)
        tangle, reached = [], [line]
        while reached:
            for choice in of_line[reached.pop()]:
                tangle.append(choice)
                for other in of_session[choice.session]:
                    if other.line not in seen:
                        seen.add(other.line)
                        reached.append(other.line)
        tangle.sort(key=lambda c: (c.service_time, c.line_id, c.signed_in_at, c.session))
        yield tangle


def _solve(tangle: Sequence[Choice]) -> dict[int, tuple[str, ...]]:
    """Assign within one tangle, whose choices come sorted by line and session."""
    by_line: dict[int, list[Choice]] = defaultdict(list)
    for choice in tangle:
        by_line[choice.line].append(choice)
    several = [line for line, mine in by_line.items() if mine[0].needed > 1]
    best = max(
        (_follow(by_line, plans) for plans in _plans(by_line, several)),
        key=lambda taken: _worth(tangle, by_line, taken),
    )
    return _share_leftovers(by_line, several, best)


def _plans(by_line: Mapping[int, list[Choice]], several: Sequence[int]) -> Iterator[dict[int, Plan]]:
    """Propose what to attempt for the lines that need several sessions; an empty plan without any."""
    open_to: list[list[Plan]] = []
    for line in several:
        needed = by_line[line][0].needed
        plans: list[Plan] = ["left"]
        if len(by_line[line]) >= needed:
            plans.append("served")
        if sum(choice.supporting for choice in by_line[line]) >= needed:
            plans.append("supported")
        open_to.append(plans)
    combinations = 1
    for plans in open_to:
        combinations *= len(plans)
    if combinations <= MOST_COMBINATIONS:
        for chosen in itertools.product(*open_to):
            yield dict(zip(several, chosen, strict=True))
        return
    # too tangled to try all: leave every such line, or give one of them all it can get
    for index, plans in enumerate(open_to):
        for plan in plans:
            yield {line: plan if place == index else "left" for place, line in enumerate(several)}


def _follow(by_line: Mapping[int, list[Choice]], plans: Mapping[int, Plan]) -> dict[int, tuple[str, ...]]:
    """Match as well as one plan allows; a plan that fails leaves its line without sessions."""
    rows: list[list[Choice]] = []
    must: list[bool] = []
    for line, mine in by_line.items():
        plan = plans.get(line)
        if plan == "left":
            continue
        usable = [choice for choice in mine if choice.supporting or plan != "supported"]
        for _ in range(mine[0].needed):
            rows.append(usable)
            must.append(plan is not None)
    taken: dict[int, list[str]] = defaultdict(list)
    for choice in _match(rows, must):
        taken[choice.line].append(choice.session)
    return {
        line: tuple(sorted(sessions))
        for line, sessions in taken.items()
        if len(sessions) == by_line[line][0].needed
    }


def _worth(
    tangle: Sequence[Choice], by_line: Mapping[int, list[Choice]], taken: Mapping[int, tuple[str, ...]]
) -> tuple[int, int, int, int]:
    """Rank an assignment: lines supported, lines served, least gaps, earliest line with earliest session."""
    supported, gaps, order = 0, 0, 0
    for line, sessions in taken.items():
        chosen = [choice for choice in by_line[line] if choice.session in sessions]
        supported += all(choice.supporting for choice in chosen)
        gaps += sum(choice.gap_us for choice in chosen)
    for place, choice in enumerate(tangle):
        if choice.session in taken.get(choice.line, ()):
            order += 1 << (len(tangle) - 1 - place)
    return supported, len(taken), -gaps, order


def _share_leftovers(
    by_line: Mapping[int, list[Choice]], several: Sequence[int], taken: Mapping[int, tuple[str, ...]]
) -> dict[int, tuple[str, ...]]:
    """Give free sessions to lines that could not have all they need: their verdict shows them."""
    assigned = dict(taken)
    used = {session for sessions in taken.values() for session in sessions}
    for line in several:
        if line in assigned:
            continue
        free = sorted(
            (choice for choice in by_line[line] if choice.session not in used),
            key=lambda c: (not c.supporting, c.gap_us, c.signed_in_at, c.session),
        )
        some = tuple(sorted(choice.session for choice in free[: by_line[line][0].needed]))
        used.update(some)
        if some:
            assigned[line] = some
    return assigned


def _match(rows: Sequence[Sequence[Choice]], must: Sequence[bool]) -> list[Choice]:
    """Find the matching of greatest weight between rows (one a session needed) and sessions.

    Weights are whole numbers of unlimited size, in which each aim outweighs all lesser ones together.
    """
    if not rows:
        return []
    sessions = sorted({(choice.signed_in_at, choice.session) for row in rows for choice in row})
    column = {session: index for index, (_, session) in enumerate(sessions)}
    edges = sum(len(row) for row in rows)
    tie = 1 << edges
    widest = max((choice.gap_us for row in rows for choice in row), default=0)
    served = (len(rows) * widest + 1) * tie * 2
    supported = served * (len(rows) + 1)
    forced = supported * (len(rows) + 1)
    weights: list[list[int]] = [[0] * len(sessions) for _ in rows]
    rank = edges
    for index, row in enumerate(rows):
        for choice in row:
            rank -= 1
            weights[index][column[choice.session]] = (
                forced * must[index]
                + supported * (choice.supporting and not must[index])
                + served
                - choice.gap_us * tie
                + (1 << rank)
            )
    pairs = heaviest_matching(weights)
    names = [session for _, session in sessions]
    chosen = {(index, names[place]) for index, place in pairs}
    return [choice for index, row in enumerate(rows) for choice in row if (index, choice.session) in chosen]


def heaviest_matching(  # noqa: C901 - the method is known in this form
    weights: Sequence[Sequence[int]],
) -> list[tuple[int, int]]:
    """Find pairs (row, column), no row or column twice, with the greatest sum of weights.

    A weight of 0 means that the two do not go together. Hungarian method with potentials, O(n² m), exact.

    Source: shortest augmenting paths as in Jonker & Volgenant (1987), without their initial heuristics.
    """
    rows, columns = len(weights), len(weights[0]) if weights else 0
    if rows > columns:
        turned = [[weights[row][column] for row in range(rows)] for column in range(columns)]
        return sorted((row, column) for column, row in heaviest_matching(turned))
    width = columns + rows  # a column of its own for each row that stays alone
    infinity = 1 + 2 * sum(max(row, default=0) for row in weights)
    row_potential = [0] * (rows + 1)
    column_potential = [0] * (width + 1)
    holder = [0] * (width + 1)
    for row in range(1, rows + 1):
        holder[0] = row
        here = 0
        least = [infinity] * (width + 1)
        came_from = [0] * (width + 1)
        done = [False] * (width + 1)
        while holder[here]:
            done[here] = True
            now, delta, following = holder[here], infinity, 0
            for place in range(1, width + 1):
                if done[place]:
                    continue
                cost = -weights[now - 1][place - 1] if place <= columns else 0
                reduced = cost - row_potential[now] - column_potential[place]
                if reduced < least[place]:
                    least[place], came_from[place] = reduced, here
                if least[place] < delta:
                    delta, following = least[place], place
            for place in range(width + 1):
                if done[place]:
                    row_potential[holder[place]] += delta
                    column_potential[place] -= delta
                else:
                    least[place] -= delta
            here = following
        while here:
            holder[here] = holder[came_from[here]]
            here = came_from[here]
    return sorted(
        (holder[place] - 1, place - 1)
        for place in range(1, columns + 1)
        if holder[place] and weights[holder[place] - 1][place - 1]
    )
