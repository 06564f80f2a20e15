"""The named steps of the audit, in order; each is one SQL file beside this one."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from renzheng.rules.dialect import bound, number, to_spark
from renzheng.rules.pack import Pack

COMPUTED: Mapping[str, tuple[str, str]] = {
    "reversal_chains": (
        "reversal_tangles",
        "Reversals of reversals, followed to their end: see reversing.py.",
    ),
    "assigned_contested": (
        "contested_choices",
        "The best assignment of sessions to contested lines, exact, in Python: see matching.py.",
    ),
    "late_assigned_contested": ("late_contested_choices", "The same for lines whose fee came late."),
    "hours_assigned": ("hour_choices", "Shown time given to lines by the hour: see matching.py."),
}
"""Steps that are no SQL: the step that each reads, and what it is for."""

VERDICT_RULES: Mapping[str, str] = {
    "dialysis_verdicts": "line-haemodialysis",
    "bed_day_verdicts": "line-bed-day",
}
"""Steps whose SQL is a rule of the pack."""

STEPS: tuple[str, ...] = (
    "reversal_targets",
    "reversal_tangles",
    "reversal_chains",
    "reversal_roots",
    "reversals",
    "net_lines",
    "billed_lines",
    "medicine_sales",
    "medicine_repeats",
    "medicine_pairs",
    "capped_lines",
    "scope_lines",
    "dialysis_lines",
    "dialysis_signs",
    "dialysis_visits",
    "dialysis_joined",
    "sign_ins",
    "sign_outs",
    "session_spans",
    "session_machines",
    "session_presences",
    "session_prescriptions",
    "session_parts",
    "resumed_parts",
    "dialysis_sessions",
    "session_conflicts",
    "session_choices",
    "session_picks",
    "contested",
    "contested_choices",
    "assigned_contested",
    "assigned",
    "served",
    "open_lines",
    "late_choices",
    "late_picks",
    "late_contested",
    "late_contested_choices",
    "late_assigned_contested",
    "late_assigned",
    "late_served",
    "hour_choices",
    "hours_assigned",
    "hours_served",
    "bare_lines",
    "own_runs",
    "run_conflicts",
    "own_sessions",
    "dialysis_elsewhere",
    "death_excuses",
    "dialysis_inpatients",
    "traces",
    "open_traces",
    "choice_counts",
    "coverage_stretches",
    "coverage_days",
    "open_days",
    "arrival_hours",
    "arrival_coverage",
    "watched_days",
    "bundle_coverage",
    "late_entry_coverage",
    "refutable_lines",
    "shields",
    "dialysis_verdicts",
    "inpatients",
    "bed_visits",
    "bed_before",
    "bed_lines",
    "bed_late",
    "bed_spread",
    "bed_billed",
    "bed_crowds",
    "bed_rivals",
    "bed_sightings",
    "bed_claims",
    "bed_nights",
    "bed_twice",
    "bed_parts",
    "bed_told",
    "bed_outside",
    "bed_leaves",
    "bed_checks",
    "bed_absent",
    "bed_unseen",
    "bed_away",
    "bed_elsewhere",
    "bed_errands",
    "bed_unexplained",
    "bed_on_leave",
    "bed_accused",
    "bed_sightings_broken",
    "bed_shields",
    "bed_coverage",
    "bed_day_verdicts",
    "bed_verdicts",
    "line_verdicts",
    "ledger",
)

VIEWS: frozenset[str] = frozenset(
    {
        "net_lines",
        "billed_lines",
        "dialysis_visits",
        "sign_outs",
        "session_machines",
        "session_presences",
        "session_prescriptions",
        "traces",
        "coverage_stretches",
        "dialysis_verdicts",
        "bed_before",
        "bed_billed",
        "bed_parts",
        "bed_verdicts",
    }
)
"""Steps that only one other step reads: they run inside it, and their rows are never kept."""

_PLACEHOLDER = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class Step:
    """One step: its name, its SQL as it stands in the file, and what the file says it is for."""

    name: str
    sql: str
    purpose: str


def read_step(name: str, pack: Pack) -> Step:
    """Read one step: from its file, or, for the verdicts themselves, from their rule."""
    if name in COMPUTED:
        return Step(name, "", COMPUTED[name][1])
    if name in VERDICT_RULES:
        sql = pack.rules[VERDICT_RULES[name]].sql
    else:
        sql = files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    head = itertools.takewhile(lambda line: line.startswith("--"), sql.splitlines())
    # the text of a rule is a stranger's: what runs is written again from its syntax tree
    return Step(
        name,
        bound(sql) if name in VERDICT_RULES else sql,
        " ".join(line.removeprefix("--").strip() for line in head),
    )


def last_uses(pack: Pack) -> dict[str, tuple[str, ...]]:
    """Tell after which step which tables are needed no more, so that their memory can go.

    What a rule reads stays. What a view reads is needed as long as the view is.
    """
    reads = {name: _named_in(read_step(name, pack).sql) - {name} for name in STEPS}
    reads |= {name: {read} for name, (read, _) in COMPUTED.items()}
    for name in STEPS:
        for view in reads[name] & VIEWS:
            reads[name] |= reads[view]
    kept = set[str]().union(
        *(_named_in(rule.sql) for rule in pack.active), {"line_verdicts", "bed_day_verdicts", "ledger"}
    )
    for view in kept & VIEWS:
        kept |= reads[view]
    last = {used: name for name in STEPS if name not in VIEWS for used in reads[name]}
    done: dict[str, tuple[str, ...]] = {}
    for used, name in last.items():
        if used not in kept and used not in VIEWS:
            done[name] = (*done.get(name, ()), used)
    return done


def _named_in(sql: str) -> set[str]:
    return set(re.findall(r"\w+", sql)) & set(STEPS)


def explained(pack: Pack, *, spark: bool) -> list[Step]:
    """List every step and every rule that runs, in order, as the engine gets them but for the parameters."""
    known = [read_step(name, pack) for name in STEPS]
    known += [Step(rule.id, rule.sql, rule.header.title.en) for rule in pack.active]
    if not spark:
        return known
    return [Step(one.name, to_spark(one.sql) if one.sql else "", one.purpose) for one in known]


def filled(sql: str, values: Mapping[str, int | Decimal]) -> str:
    """Put numbers in the place of `$name`."""
    return _PLACEHOLDER.sub(lambda found: number(values[found.group(1)]), sql)
