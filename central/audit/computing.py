"""The steps that are no SQL: each takes the rows of one step and gives those of another, group by group.

Spark runs them on its workers, which need neither this package nor pandas: the module is sent along, with
`matching` and `reversing`. So it imports nothing of the house but those two.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

import pyarrow as pa

from renzheng.central.audit.matching import Choice, HourChoice, assign, give_time
from renzheng.central.audit.reversing import follow, targets_of

Asked = TypeVar("Asked")
Groups = dict[tuple[str, str, str], list[dict[str, Any]]]
PERSON = ("institution_id", "person_id")
CLASS = (*PERSON, "item_class")


@dataclass(frozen=True)
class Computation:
    """How a step is computed.

    Args:
        run: gives the rows of the step for the rows of any number of whole groups.
        keys: columns of the rows it takes; rows that differ in one of them never meet.
        schema: of the rows it gives.
    """

    run: Callable[[pa.Table], pa.Table]
    keys: Sequence[str]
    schema: pa.Schema


CHAINS = pa.schema([(name, pa.int64()) for name in ("line", "root", "depth")])
ASSIGNED = pa.schema([("line", pa.int64()), ("session", pa.string())])
HOURS = pa.schema(
    [("line", pa.int64()), ("session", pa.string()), ("used_us", pa.int64()), ("late", pa.bool_())]
)


def follow_chains(tangles: pa.Table) -> pa.Table:
    """Follow reversals of reversals to the line that was billed first."""
    rooted = [vars(one) for one in follow(targets_of(tangles.to_pylist()))]
    return pa.Table.from_pylist(rooted, schema=CHAINS)


def assign_contested(choices: pa.Table) -> pa.Table:
    """Assign contested sessions, person by person, institution by institution, class by class."""
    assigned = [
        {"line": line, "session": session}
        for _, group in sorted(_groups(choices).items())
        for line, sessions in assign(_as(Choice, row) for row in group).items()
        for session in sessions
    ]
    return pa.Table.from_pylist(assigned, schema=ASSIGNED)


def assign_hours(choices: pa.Table) -> pa.Table:
    """Give shown time to lines by the hour, person by person, institution by institution, class by class."""
    taken = [
        vars(one)
        for _, group in sorted(_groups(choices).items())
        for one in give_time(_as(HourChoice, row) for row in group)
    ]
    return pa.Table.from_pylist(taken, schema=HOURS)


def _groups(choices: pa.Table) -> Groups:
    groups: Groups = defaultdict(list)
    for row in choices.to_pylist():
        groups[row["institution_id"], row["person_id"], row["item_class"]].append(row)
    return groups


def _as(kind: Callable[..., Asked], row: Mapping[str, Any]) -> Asked:
    return kind(**{field.name: row[field.name] for field in fields(cast("Any", kind))})


COMPUTE: Mapping[str, Computation] = {
    "reversal_chains": Computation(follow_chains, PERSON, CHAINS),
    "assigned_contested": Computation(assign_contested, CLASS, ASSIGNED),
    "late_assigned_contested": Computation(assign_contested, CLASS, ASSIGNED),
    "hours_assigned": Computation(assign_hours, CLASS, HOURS),
}
"""What computes the steps that are no SQL."""
