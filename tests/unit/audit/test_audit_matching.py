"""The assignment of sessions to lines against trying everything."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from parts.examples import examples

from renzheng.central.audit.matching import Choice, assign, heaviest_matching


@st.composite
def problems(draw):
    lines = draw(st.integers(1, 4))
    sessions = draw(st.integers(1, 4))
    needed = [draw(st.sampled_from([1, 1, 1, 2, 3])) for _ in range(lines)]
    supporting = [draw(st.booleans()) for _ in range(sessions)]
    edges = draw(st.sets(st.tuples(st.integers(0, lines - 1), st.integers(0, sessions - 1))))
    return [
        Choice(
            line,
            f"L{line}",
            line * 10,
            needed[line],
            f"S{s}",
            s * 10,
            supporting[s],
            draw(st.integers(0, 3)) * 60,
        )
        for line, s in sorted(edges)
    ]


def every_assignment(choices):
    by_line = {}
    for choice in choices:
        by_line.setdefault(choice.line, []).append(choice)

    def ways(lines, taken):
        if not lines:
            yield {}
            return
        mine = [c for c in by_line[lines[0]] if c.session not in taken]
        for chosen in (*itertools.combinations(mine, mine[0].needed if mine else 1), ()):
            for rest in ways(lines[1:], taken | {c.session for c in chosen}):
                yield {lines[0]: chosen, **rest} if chosen else rest

    yield from ways(sorted(by_line), frozenset())


def worth(way):
    return (
        sum(all(c.supporting for c in chosen) for chosen in way.values()),
        len(way),
        -sum(c.gap_us for chosen in way.values() for c in chosen),
    )


def served(choices, assigned):
    """Drop what lines got that could not have all they need: it does not count as served."""
    found = {c.line: c.needed for c in choices}
    pick = {(c.line, c.session): c for c in choices}
    return {
        line: tuple(pick[line, session] for session in sessions)
        for line, sessions in assigned.items()
        if len(sessions) == found[line]
    }


@settings(deadline=None, max_examples=examples(400))
@given(problems())
def test_no_assignment_is_better(choices):
    assigned = assign(choices)
    best = max((worth(way) for way in every_assignment(choices)), default=(0, 0, 0))
    assert worth(served(choices, assigned)) == best


@settings(deadline=None, max_examples=examples(200))
@given(problems())
def test_no_session_is_given_twice(choices):
    given_out = [session for sessions in assign(choices).values() for session in sessions]
    assert len(given_out) == len(set(given_out))


@settings(deadline=None, max_examples=examples(200))
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(choices, random):
    shuffled = list(choices)
    random.shuffle(shuffled)
    assert assign(shuffled) == assign(choices)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_heaviest_matching_is_the_heaviest(weights):
    pairs = heaviest_matching(weights)
    rows, columns = range(len(weights)), range(3)
    size = min(len(weights), 3)
    if len(weights) <= 3:
        ways = ([*zip(rows, chosen, strict=True)] for chosen in itertools.permutations(columns, size))
    else:
        ways = ([*zip(chosen, columns, strict=True)] for chosen in itertools.permutations(rows, size))
    best = max(sum(weights[row][column] for row, column in way) for way in ways)
    assert sum(weights[row][column] for row, column in pairs) == best


def choice(line, at, needed, session, start):
    number = ord(line[0]) * 100 + int(line[1:] or 0)
    return Choice(number, line, at, needed, session, start, supporting=True, gap_us=0)


def test_of_equal_choices_the_earliest_line_takes_the_earliest_session():
    both = [choice(line, 0, 1, s, at) for line in "AB" for s, at in (("Y", 1), ("X", 2))]
    assert assign(both) == {6500: ("Y",), 6600: ("X",)}


def test_a_great_tangle_is_solved():
    lines = [
        Choice(i, f"L{i:03}", i, 1, f"S{s}", s, s % 2 == 0, abs(i - s)) for i in range(150) for s in range(12)
    ]
    assert len(assign(lines)) == 12


def test_too_many_lines_that_need_several_are_still_answered():
    tangled = [choice(f"L{i:02}", i, 2, f"S{s:02}", s) for i in range(12) for s in range(8)]
    given_out = [session for sessions in assign(tangled).values() for session in sessions]
    assert len(given_out) == len(set(given_out))
    assert given_out
