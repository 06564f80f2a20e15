"""The named steps of the audit, in order; each is one SQL file beside this one."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from renzheng.central.audit.service_points import SCHEMAS
from renzheng.rules.dialect import bound, number, to_spark
from renzheng.rules.pack import Pack

_COMPUTED: Mapping[str, tuple[str, str]] = {
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

VERDICT_RULES: Mapping[str, str] = {
    "dialysis_verdicts": "line-haemodialysis",
    "bed_day_verdicts": "line-bed-day",
    "point_answers": "line-haemodialysis",
    "point_verdicts": "line-service-point",
}
"""Steps whose SQL is a rule of the pack."""

BASIC_STEPS: tuple[str, ...] = (
    "reversal_targets",
    "reversal_tangles",
    "reversal_chains",
    "reversal_roots",
    "reversals",
    "net_lines",
    "billed_lines",
    "visit_diagnoses",
    "visit_calls",
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
    "bed_sums",
    "bed_verdicts",
    "line_verdicts",
    "ledger",
)
"""The steps of every audit."""

INSTANCE: Mapping[str, str] = {
    **{
        name: f"point_{name.removeprefix('dialysis_')}"
        for name in BASIC_STEPS[BASIC_STEPS.index("dialysis_lines") : BASIC_STEPS.index("dialysis_verdicts")]
    },
    "dialysis_verdicts": "point_answers",
}
"""The steps of the haemodialysis family, each with its name where it answers the lines of service points."""
ORIGINS: Mapping[str, str] = {instance: name for name, instance in INSTANCE.items()}

POINT_INPUTS: Mapping[str, str] = {
    "scope_lines": "point_scope",
    "days": "point_days",
    "attendance": "point_attendance",
    "machine_sessions": "point_machine_sessions",
    "prescriptions": "point_prescriptions",
    "coverage": "point_coverage",
    "stays": "point_stays",
    "spot_checks": "point_spot_checks",
    "broken_rows": "point_broken_rows",
}
"""What the instance reads in the place of what dialysis reads."""

_IN_THE_HOUSE = {"attendance": "attendance", "dialysis_sessions": "sessions_at_houses"}
POINT_EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    "dialysis_elsewhere": {
        **_IN_THE_HOUSE,
        "bare_lines": "point_bare_at_houses",
        "spot_checks": "spot_checks",
    },
    "session_conflicts": _IN_THE_HOUSE,
    "run_conflicts": {**_IN_THE_HOUSE, "own_runs": "point_runs_at_houses"},
    "dialysis_inpatients": {"stays": "point_bed_stays"},
}
"""Steps that ask where a person was by institution, whatever the room, or that read other stays."""

POINT_BEFORE: Mapping[str, tuple[str, ...]] = {
    "point_session_conflicts": ("sessions_at_houses",),
    "point_run_conflicts": ("point_runs_at_houses",),
    "point_elsewhere": ("point_bare_at_houses",),
}
"""Steps of the instance that need one of their own before them."""

COMPUTED: Mapping[str, tuple[str, str]] = {
    **_COMPUTED,
    **{
        INSTANCE[name]: (INSTANCE[origin], purpose)
        for name, (origin, purpose) in _COMPUTED.items()
        if name in INSTANCE
    },
}
"""Steps that are no SQL: the step that each reads, and what it is for."""

POINT_STEPS: tuple[str, ...] = (
    *POINT_INPUTS.values(),
    "point_bed_stays",
    *(step for name in INSTANCE.values() for step in (*POINT_BEFORE.get(name, ()), name)),
    "point_staff",
    "point_verdicts",
)
"""The steps that answer the lines of service points: only where the tables name any."""

_END = BASIC_STEPS.index("line_verdicts")
STEPS: tuple[str, ...] = (*BASIC_STEPS[:_END], *POINT_STEPS, *BASIC_STEPS[_END:])
"""All steps, in order."""

WITHOUT_POINTS: Mapping[str, str] = {
    "point_scope": "SELECT line, fund_amount FROM scope_lines WHERE 1 = 0",
    "point_verdicts": "SELECT line, line_id, institution_id, amount, '' AS verdict, '' AS reason, "
    "CAST(0 AS DOUBLE) AS coverage_ratio, CAST([] AS VARCHAR[]) AS evidence, '' AS shield "
    "FROM scope_lines WHERE 1 = 0",
}
"""What other steps read of them, where there is no service point."""

_VIEWS = frozenset(
    {
        "net_lines",
        "billed_lines",
        "sign_outs",
        "session_machines",
        "session_presences",
        "session_prescriptions",
        "traces",
        "coverage_stretches",
        "bed_before",
        "bed_billed",
        "bed_parts",
        "bed_verdicts",
        "line_verdicts",
    }
)
VIEWS: frozenset[str] = (
    _VIEWS
    | {INSTANCE[name] for name in _VIEWS if name in INSTANCE}
    | {"point_bed_stays", "point_spot_checks"}
)
"""Steps that only one other step reads, or that only put others together: they run inside what reads them,
and their rows are never kept."""

_PLACEHOLDER = re.compile(r"\$(\w+)")
_READ = re.compile(r'(?P<word>\b(?:FROM|JOIN)\s+(?P<quote>"?))(?P<table>\w+)(?P=quote)')


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
    origin = ORIGINS.get(name, name)
    if name in VERDICT_RULES:
        sql = pack.rules[VERDICT_RULES[name]].sql
    else:
        sql = files(__package__).joinpath("sql", f"{origin}.sql").read_text(encoding="utf-8")
    head = itertools.takewhile(lambda line: line.startswith("--"), sql.splitlines())
    # the text of a rule is a stranger's: what runs is written again from its syntax tree
    written = bound(sql) if name in VERDICT_RULES else sql
    purpose = " ".join(line.removeprefix("--").strip() for line in head)
    if name in ORIGINS:
        return Step(name, _of_points(written, origin), f"{origin}, of service points. {purpose}")
    return Step(name, written, purpose)


def _of_points(sql: str, origin: str) -> str:
    """Let a step of the haemodialysis family read what is known of service points."""
    read = {**INSTANCE, **POINT_INPUTS, **POINT_EXCEPTIONS.get(origin, {})}
    return _READ.sub(
        lambda found: f"{found['word']}{read.get(found['table'], found['table'])}{found['quote']}", sql
    )


def last_uses(pack: Pack, steps: Sequence[str] = STEPS) -> dict[str, tuple[str, ...]]:
    """Tell after which step which tables are needed no more, so that their memory can go.

    What a rule reads stays. What a view reads is needed as long as the view is.
    """
    reads = {name: _named_in(read_step(name, pack).sql) - {name} for name in steps}
    reads |= {name: {read} for name, (read, _) in COMPUTED.items() if name in reads}
    for name in steps:
        for view in reads[name] & VIEWS:
            reads[name] |= reads[view]
    kept = set[str]().union(
        *(_named_in(rule.sql) for rule in pack.active), {"line_verdicts", "bed_day_verdicts", "ledger"}
    )
    for view in kept & VIEWS:
        kept |= reads[view]
    last = {used: name for name in steps if name not in VIEWS for used in reads[name]}
    done: dict[str, tuple[str, ...]] = {}
    for used, name in last.items():
        if used not in kept and used not in VIEWS:
            done[name] = (*done.get(name, ()), used)
    return done


def of_points(sql: str) -> bool:
    """Return whether a query reads what only service points give."""
    words = set(re.findall(r"\w+", sql))
    return not words.isdisjoint({*POINT_STEPS, *SCHEMAS})


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
