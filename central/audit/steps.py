"""The named steps of the audit, in order; each is one SQL file beside this one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

ASSIGNMENT = "assigned_contested"
"""The one step that is not SQL: the exact assignment of contested sessions (matching.py)."""

STEPS: tuple[str, ...] = (
    "reversals",
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
    "dialysis_sessions",
    "dialysis_elsewhere",
    "session_choices",
    "session_picks",
    "contested",
    "contested_choices",
    ASSIGNMENT,
    "assigned",
    "served",
    "open_lines",
    "traces",
    "open_traces",
    "choice_counts",
    "coverage_stretches",
    "coverage_days",
    "dialysis_verdicts",
)

_PLACEHOLDER = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class Step:
    """One step: its name, its SQL as it stands in the file, and what the file says it is for."""

    name: str
    sql: str
    purpose: str


def read_step(name: str) -> Step:
    """Read one step's file."""
    if name == ASSIGNMENT:
        purpose = "The best assignment of sessions to contested lines, exact, in Python: see matching.py."
        return Step(name, "", purpose)
    text = files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    comment = [line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--")]
    return Step(name, text, " ".join(comment))


def filled(sql: str, values: Mapping[str, int]) -> str:
    """Put whole numbers in the place of `$name`."""
    return _PLACEHOLDER.sub(lambda found: str(int(values[found.group(1)])), sql)
