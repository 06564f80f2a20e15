"""What a change of knowledge would have flagged in a past period, before anybody puts it in force."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from renzheng.central.audit.readback import read_findings
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.checks.replaying import RULES
from renzheng.rules.knowledge.comparing import differences
from renzheng.rules.knowledge.packfile import KnowledgePack
from renzheng.rules.knowledge.tables import rows_of


@dataclass(frozen=True, slots=True)
class Flagged:
    """What is flagged at one institution before and after a change: findings, and yuan at stake."""

    institution_id: str
    findings_before: int
    yuan_before: Decimal
    findings_after: int
    yuan_after: Decimal


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change does.

    Args:
        institutions: by yuan gained or lost, most first.
        changed: points that differ.
        not_audited: of these, ids of those that no rule of the audit reads; they are not in the figures.
    """

    institutions: tuple[Flagged, ...]
    changed: int
    not_audited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """A past period of canonical tables."""

    tables: Path
    first: dt.date
    last: dt.date
    region: str | None = None


def impact(before: KnowledgePack, after: KnowledgePack, past: Past, folder: Path) -> Impact:
    """Audit a past period with each of two packs, as if each of their points were in force.

    Args:
        before: the pack so far.
        after: the changed one.
        past: tables and days.
        folder: an empty one, for what the audits write.
    """
    changed = [
        one
        for one in differences(before, after, past.last)
        if one.change in {"added", "withdrawn", "changed"}
    ]
    silent = [one.id for one in changed if not any(any(rows_of(p)) for p in (one.before, one.after) if p)]
    old = _audited(before, past, folder / "before")
    new = _audited(after, past, folder / "after")
    rows = [Flagged(name, *old[name], *new[name]) for name in {*old, *new}]
    rows.sort(key=lambda one: (-abs(one.yuan_after - one.yuan_before), one.institution_id))
    return Impact(tuple(rows), len(changed), tuple(silent))


def _audited(pack: KnowledgePack, past: Past, out: Path) -> dict[str, tuple[int, Decimal]]:
    points = [one for one in pack.points if not one.problem]
    asked = AuditRequest(
        past.tables, past.first, past.last, out, only=RULES, region=past.region, points=points
    )
    run_audit(asked)
    found: dict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for one in read_findings(out):
        count, yuan = found[one.institution_id]
        found[one.institution_id] = (count + 1, yuan + one.amount)
    return found
