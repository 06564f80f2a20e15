"""What a viewer who is bound to institutions sees of evidence: their own, and nothing of another's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from renzheng.central.nightly.evidence import LineEvidence
from renzheng.central.store import viewer

Row = Mapping[str, Any]


def seen_rows(rows: Sequence[Row]) -> Sequence[Row]:
    """Leave out rows of other institutions, and keep of whom the others are."""
    seen = [row for row in rows if viewer.sees(row.get("institution_id"))]
    viewer.note(seen)
    return seen


def seen_of(found: LineEvidence | None) -> LineEvidence | None:
    """Leave out what happened at other institutions around a line."""
    if found is None or viewer.sees_all():
        return found
    return replace(
        found,
        attendance=seen_rows(found.attendance),
        machine_sessions=seen_rows(found.machine_sessions),
        coverage=seen_rows(found.coverage),
        spot_checks=seen_rows(found.spot_checks),
        leaves=seen_rows(found.leaves),
        stays=seen_rows(found.stays),
    )


def masked_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Write the persons of rows as the viewer may have them."""
    return [
        {**row, "person_id": viewer.shown(row["person_id"])} if "person_id" in row else {**row}
        for row in rows
    ]
