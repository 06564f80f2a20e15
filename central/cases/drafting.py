"""Which doubts the current verdicts and findings give: each line in one of them, the largest.

A line is held by one doubt at a time; what else speaks of it is listed there. A line that was dropped,
cleared, withdrawn or deducted is not drafted again under the same version of the rule, and one whose money
was deducted under none.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from renzheng.central.cases.doubts import CHARGED, OPEN, Billed, Doubt, Flag, State

LineKey = tuple[str, str]
"""Institution and line: two institutions may use one number."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A verdict or finding that could be a doubt."""

    institution_id: str
    person_id: str | None
    lines: tuple[Billed, ...]
    rule_id: str
    rule_version: str
    verdict: str
    reason: str
    run_id: str
    finding_id: str | None
    amount_fen: int

    @property
    def flag(self) -> Flag:
        """What is listed of it on a doubt that holds its lines."""
        return Flag(self.rule_id, self.rule_version, self.reason, self.amount_fen)


@dataclass(frozen=True, slots=True)
class Left:
    """A candidate that gives no doubt, and by which guard."""

    candidate: Candidate
    line_id: str
    guard: str
    doubt_id: str


@dataclass(slots=True)
class Drafted:
    """What candidates come to.

    Args:
        new: candidates that become doubts, each with the lines that nobody holds.
        flags: further flags by the place in `new` that holds the line.
        on_kept: further flags by the kept doubt that does.
        left: candidates that give nothing.
    """

    new: list[Candidate] = field(default_factory=list)
    flags: dict[int, list[Flag]] = field(default_factory=dict)
    on_kept: dict[str, list[Flag]] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)


def draft(
    candidates: Iterable[Candidate],
    kept: Mapping[LineKey, Sequence[Doubt]],
    silent: Collection[tuple[str, str]] = (),
) -> Drafted:
    """Choose among candidates, the largest amount first.

    Args:
        candidates: of one or more institutions; their order does not matter.
        kept: the doubts there are on each line.
        silent: rules and versions that have lost the power to draft anything.
    """
    drafted, held = Drafted(), dict[LineKey, int]()
    for one in sorted(candidates, key=_largest_first):
        if (one.rule_id, one.rule_version) in silent:
            drafted.left += [Left(one, line.line_id, "rule_power", "") for line in one.lines]
            continue
        free = [line for line in one.lines if _is_free(one, line, kept, held, drafted)]
        if not free:
            continue
        lowered = min(one.amount_fen, sum(line.amount_fen for line in free))
        if lowered <= 0:
            continue
        drafted.new.append(replace(one, lines=tuple(free), amount_fen=lowered))
        held.update({(one.institution_id, line.line_id): len(drafted.new) - 1 for line in free})
    return drafted


def without(candidates: Iterable[Candidate], returned: Collection[LineKey]) -> list[Candidate]:
    """Leave out lines that the institution has returned itself; a candidate without any other gives none."""
    found = []
    for one in candidates:
        lines = tuple(line for line in one.lines if (one.institution_id, line.line_id) not in returned)
        if lines:
            lowered = min(one.amount_fen, sum(line.amount_fen for line in lines))
            found.append(one if lines == one.lines else replace(one, lines=lines, amount_fen=lowered))
    return found


def _largest_first(one: Candidate) -> tuple[int, int, str, str, str]:
    return -one.amount_fen, len(one.lines), one.rule_id, one.lines[0].line_id, one.finding_id or ""


def _is_free(
    one: Candidate,
    line: Billed,
    kept: Mapping[LineKey, Sequence[Doubt]],
    held: Mapping[LineKey, int],
    drafted: Drafted,
) -> bool:
    key = (one.institution_id, line.line_id)
    for doubt in kept.get(key, ()):
        same_rule = doubt.rule_id == one.rule_id
        same_version = same_rule and doubt.rule_version == one.rule_version
        if doubt.state in OPEN:
            if not same_rule:
                _add_flag(drafted.on_kept.setdefault(doubt.doubt_id, []), one.flag)
                drafted.left.append(Left(one, line.line_id, "line_taken", doubt.doubt_id))
            return False
        if doubt.state in CHARGED:
            if not same_rule:
                drafted.left.append(Left(one, line.line_id, "line_taken", doubt.doubt_id))
            return False
        if same_version:
            if doubt.state is State.CLEARED:
                drafted.left.append(Left(one, line.line_id, "reopened", doubt.doubt_id))
            return False
    if key in held:
        _add_flag(drafted.flags.setdefault(held[key], []), one.flag)
        return False
    return True


def _add_flag(flags: list[Flag], flag: Flag) -> None:
    if flag not in flags:
        flags.append(flag)
