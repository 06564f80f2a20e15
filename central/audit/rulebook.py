"""What a rule may read, and whether a pack's rules keep to it: the engine's closed list of tables."""

from collections.abc import Iterator

from renzheng.central.audit.knowledge import SCHEMAS
from renzheng.central.audit.steps import STEPS
from renzheng.contracts.tables import INPUT_TABLES
from renzheng.rules.dialect import offences, placeholders
from renzheng.rules.errors import RulePackError
from renzheng.rules.pack import Pack, Rule

PERIOD = frozenset({"from_day", "to_day", "from_us", "until_us"})
"""Placeholders that every rule of findings has besides its own parameters."""
BESIDE_THE_STEPS = frozenset({"calendar", "days", "windows", "rejects"})
"""Tables that the audit computes before its first step."""


def readable() -> frozenset[str]:
    """Return the name of every table that a rule may read."""
    return frozenset({*INPUT_TABLES, *STEPS, *BESIDE_THE_STEPS, *(f"known_{name}" for name in SCHEMAS)})


def require_readable(pack: Pack) -> None:
    """Refuse a pack of which any rule reads anything but the engine's own tables.

    Raises:
        RulePackError: with every problem of every rule.
    """
    problems = [f"{rule.path.name}: {problem}" for rule in pack.rules.values() for problem in _of(rule)]
    if problems:
        raise RulePackError(
            f"{len(problems)} problem(s) in the rule pack:\n" + "\n".join(f"  - {one}" for one in problems),
            why="A rule is data: it reads the tables of the audit and nothing else of this machine.",
            do="Correct the files named above; `renzheng rules tables` lists tables and columns.",
            problems=problems,
        )


def _of(rule: Rule) -> Iterator[str]:
    found = list(offences(rule.sql, readable()))
    yield from found
    if found or rule.header.produces != "findings":
        return
    for name in sorted(placeholders(rule.sql) - PERIOD - set(rule.header.parameters)):
        yield f"${name} is no parameter of the header, nor one of {', '.join(sorted(PERIOD))}"
