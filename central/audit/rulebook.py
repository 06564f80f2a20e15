"""What a rule may read, and whether a pack's rules keep to it: the engine's closed list of tables."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from joserfc.jwk import OKPKey

from renzheng.central.audit.knowledge import SCHEMAS
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.steps import STEPS
from renzheng.contracts.tables import INPUT_TABLES
from renzheng.rules.dialect import offences, placeholders
from renzheng.rules.errors import RulePackError, UnsignedPackError
from renzheng.rules.pack import Pack, Rule
from renzheng.rules.signing import read_keys

PERIOD = frozenset({"from_day", "to_day", "from_us", "until_us"})
"""Placeholders that every rule of findings has besides its own parameters."""
BESIDE_THE_STEPS: Mapping[str, str] = {
    "bed_calendar": "the days that the bed lines of the period can be for",
    "bed_numbers": "numbers from 1 up to the longest bed line",
    "broken_rows": "rows of attendance, machine_sessions, stays, leaves and spot_checks (`source`) that "
    "could not be read or that an importer did not take, as far as they say whom they are about: they may "
    "have cleared somebody",
    "calendar": "every day of the weeks and months that the period touches",
    "coded_lines": "claim_lines as they were sent, reversals too, with the class and unit that the catalogue "
    "gives their code on their day; `item_class` is empty where it knows none",
    "days": "the parameters of the line rules, day by day",
    "point_houses": "the places that service points make: all of an institution that share a kind or what is "
    "billed; whether treatment may come to the bed, and whether one visit is all that is asked",
    "point_items": "what is billed for each service point: a code or a class, the days, the minutes that "
    "must be shown, and who of the staff",
    "point_kinds": "the kinds of service point of each place",
    "point_machines": "the machines of each place",
    "point_watchers": "the devices that could have seen what each element of a place saw; without a device "
    "where nothing could",
    "refused_lines": "billed rows that came in with an institution and an amount and were not taken, by the "
    "importer or by the audit (`box`, as in the ledger)",
    "rejects": "rows of any table (`table`) that an importer did not take, and why",
    "windows": "the hours of a day that count, by purpose, in microseconds after local midnight",
}
"""Tables that the audit computes before its first step, and what a row of each is."""
EXAMPLES: Mapping[str, str] = {
    "broken_rows": "SELECT institution_id, person_id, count(*) AS rows_lost FROM broken_rows "
    "WHERE source = 'attendance' AND from_day BETWEEN $from_day AND $to_day "
    "GROUP BY institution_id, person_id",
    "coded_lines": "SELECT institution_id, line_id, amount FROM coded_lines "
    "WHERE item_class IS NULL AND item_name LIKE '%透析%' AND service_time_day BETWEEN $from_day AND $to_day",
    "refused_lines": "SELECT institution_id, sum(abs(amount)) AS yuan FROM refused_lines "
    "WHERE box = 'rejected_by_audit' GROUP BY institution_id",
    "rejects": "SELECT institution_id, reason, count(*) AS n FROM rejects "
    "WHERE \"table\" = 'stays' GROUP BY institution_id, reason",
}
"""How a rule reads those tables that are of use to it and no step."""


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


def require_signatures(pack: Pack, request: AuditRequest) -> None:
    """Refuse what did not come with the product and is not signed by the bureau.

    Raises:
        UnsignedPackError: the region's pack, or the pack of `request.rules`, is not signed by a named key.
    """
    assert request.rules_key is not None
    known = bureau_keys(request.rules_key)
    if request.rules is not None:
        pack.require_signature(known)
    if request.region is not None and request.region in pack.regions:
        pack.regions[request.region].require_signature(known)


def bureau_keys(path: Path) -> list[OKPKey]:
    """Read the bureau's public keys, one or more in one file.

    Raises:
        UnsignedPackError: there is none in it.
    """
    try:
        known = read_keys(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _no_key(path, str(error)) from error
    if not known:
        raise _no_key(path, "it holds no public key in PEM")
    return known


def _no_key(path: Path, what: str) -> UnsignedPackError:
    return UnsignedPackError(
        f"The bureau's key {path} cannot be read: {what}.",
        why="Without it nobody can tell whether the rules are those of the bureau.",
        do="Write the public key there: openssl pkey -in PRIVATE.pem -pubout -out PUBLIC.pem",
    )


def _of(rule: Rule) -> Iterator[str]:
    found = list(offences(rule.sql, readable()))
    yield from found
    if found or rule.header.produces != "findings":
        return
    for name in sorted(placeholders(rule.sql) - PERIOD - set(rule.header.parameters)):
        yield f"${name} is no parameter of the header, nor one of {', '.join(sorted(PERIOD))}"
