"""Reads cases, doubts, journals and evidence; of an institution's people only what they may see."""

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from renzheng.central.access.roles import BY_INSTITUTION, Role
from renzheng.central.cases import frozen_log, journal, records, seen_evidence
from renzheng.central.cases.bundle import Proofs
from renzheng.central.cases.doubts import NEVER_ISSUED, Case, Doubt
from renzheng.central.cases.drafting import LineKey
from renzheng.central.cases.errors import NotFoundError
from renzheng.central.cases.guards import Actor
from renzheng.central.cases.stepping import kept_entries
from renzheng.central.store import schema, viewer
from renzheng.central.verify.publish import audit_paths

CASES, DOUBTS, LINES = schema.cases, schema.doubts, schema.doubt_lines
EVIDENCE, JOURNAL = schema.doubt_evidence, schema.case_journal
_AT_ONCE = 400


def doubts_of(connection: sa.Connection, case_id: str) -> list[Doubt]:
    """Read the doubts of a case in the order in which they were drafted."""
    query = sa.select(DOUBTS.c.record).where(DOUBTS.c.case_id == case_id).order_by(DOUBTS.c.doubt_id)
    return [records.read(Doubt, record) for record in connection.execute(query).scalars()]


def read_journal(connection: sa.Connection, case_id: str) -> list[journal.Kept]:
    """Read a case's journal as it is kept."""
    return kept_entries(connection, JOURNAL.c.case_id, case_id)


def evidence_of(connection: sa.Connection, doubt_id: str) -> bytes | None:
    """Read the frozen evidence of a doubt; None before it is confirmed."""
    query = sa.select(EVIDENCE.c.evidence).where(EVIDENCE.c.doubt_id == doubt_id)
    found: bytes | None = connection.execute(query).scalar()
    return found


def person_order() -> sa.ColumnElement[str]:
    """Return by what doubts are ordered by person: where numbers are masked, it tells nothing of them."""
    if viewer.masks() is None:
        return sa.func.coalesce(DOUBTS.c.person_id, "")
    return sa.func.min(DOUBTS.c.doubt_id).over(partition_by=DOUBTS.c.person_id)


def is_of_a_hospital(actor: Actor) -> bool:
    """Say whether an actor sees the rows of its institutions only."""
    return bool(actor.roles & BY_INSTITUTION)


def must_be_of_the_bureau(actor: Actor) -> None:
    """Refuse an institution's people, as if there were nothing.

    Raises:
        NotFoundError: the actor is one of them.
    """
    if is_of_a_hospital(actor):
        raise NotFoundError("There is no such question.")


def seen_by(actor: Actor, table: sa.Table) -> list[sa.ColumnElement[bool]]:
    """Return the conditions under which an actor sees rows of cases or doubts."""
    if not is_of_a_hospital(actor):
        return []
    mine = table.c.institution_id.in_(sorted(actor.institutions))
    told = table.c.issued == 1 if "issued" in table.c else table.c.state.notin_(NEVER_ISSUED)
    conditions: list[sa.ColumnElement[bool]] = [mine, told]
    if Role.HOSPITAL_OFFICE not in actor.roles and "doctor" in table.c:
        conditions.append(table.c.doctor == actor.account)
    return conditions


def case_of(connection: sa.Connection, actor: Actor, case_id: str) -> Case:
    """Read a case that an actor may see.

    Raises:
        NotFoundError: there is none, or it is not theirs.
    """
    query = sa.select(CASES.c.record).where(CASES.c.case_id == case_id, *seen_by(actor, CASES))
    record = connection.execute(query).scalar()
    if record is None:
        raise NotFoundError("There is no such case.")
    return records.read(Case, record)


def whole_case_of(connection: sa.Connection, actor: Actor, case_id: str) -> Case:
    """Read a case of which an actor may see every doubt, and so its journal and bundle.

    Raises:
        NotFoundError: there is none, it is not theirs, or they see only the doubts assigned to them.
    """
    if is_of_a_hospital(actor) and Role.HOSPITAL_OFFICE not in actor.roles:
        raise NotFoundError(
            "There is no such case.", why="A doctor sees the doubts that are assigned to them."
        )
    return case_of(connection, actor, case_id)


def case_record(connection: sa.Connection, case_id: str) -> Case:
    """Read a case, whoever asks."""
    query = sa.select(CASES.c.record).where(CASES.c.case_id == case_id)
    return records.read(Case, connection.execute(query).scalar_one())


def doubt_of(connection: sa.Connection, actor: Actor, doubt_id: str) -> Doubt:
    """Read a doubt that an actor may see.

    Raises:
        NotFoundError: there is none, or it is not theirs.
    """
    query = sa.select(DOUBTS.c.record).where(DOUBTS.c.doubt_id == doubt_id, *seen_by(actor, DOUBTS))
    record = connection.execute(query).scalar()
    if record is None:
        raise NotFoundError("There is no such doubt.")
    return records.read(Doubt, record)


def doubts_on(connection: sa.Connection, lines: Iterable[LineKey]) -> dict[LineKey, list[Doubt]]:
    """Read the doubts that there are on lines."""
    by_institution: dict[str, list[str]] = {}
    for institution_id, line_id in sorted(set(lines)):
        by_institution.setdefault(institution_id, []).append(line_id)
    found: dict[LineKey, list[Doubt]] = {}
    for institution_id, ids in by_institution.items():
        for first in range(0, len(ids), _AT_ONCE):
            query = (
                sa.select(LINES.c.line_id, DOUBTS.c.record)
                .join(DOUBTS, DOUBTS.c.doubt_id == LINES.c.doubt_id)
                .where(LINES.c.institution_id == institution_id)
                .where(LINES.c.line_id.in_(ids[first : first + _AT_ONCE]))
            )
            for row in connection.execute(query):
                doubt = records.read(Doubt, row.record)
                found.setdefault((institution_id, row.line_id), []).append(doubt)
    return found


def returned_lines(connection: sa.Connection, institution_id: str = "") -> set[LineKey]:
    """Name the lines that an institution, or each, has returned itself, with proof."""
    table = schema.self_corrections
    query = sa.select(table.c.institution_id, table.c.line_id).where(table.c.proof.is_not(None))
    if institution_id:
        query = query.where(table.c.institution_id == institution_id)
    return {(row.institution_id, row.line_id) for row in connection.execute(query)}


def rivals_of(connection: sa.Connection, doubt: Doubt) -> tuple[Doubt, ...]:
    """Read the other doubts on the lines of one."""
    found = doubts_on(connection, [(doubt.institution_id, line.line_id) for line in doubt.lines])
    others = {one.doubt_id: one for several in found.values() for one in several}
    others.pop(doubt.doubt_id, None)
    return tuple(others.values())


def whole(
    connection: sa.Connection, case_id: str
) -> tuple[Case, list[Doubt], list[journal.Kept], dict[str, bytes]]:
    """Read all that a bundle holds of a case: itself, its doubts, its journal and the frozen evidence.

    Raises:
        NotFoundError: there is no such case.
    """
    record = connection.execute(sa.select(CASES.c.record).where(CASES.c.case_id == case_id)).scalar()
    if record is None:
        raise NotFoundError(f"There is no case {case_id[:60]!r}.", do="List them: GET /api/v1/cases")
    query = (
        sa.select(EVIDENCE.c.doubt_id, EVIDENCE.c.evidence)
        .join(DOUBTS, DOUBTS.c.doubt_id == EVIDENCE.c.doubt_id)
        .where(DOUBTS.c.case_id == case_id)
        .order_by(EVIDENCE.c.doubt_id)
    )
    evidence = {row.doubt_id: row.evidence for row in connection.execute(query)}
    kept = read_journal(connection, case_id)
    return records.read(Case, record), doubts_of(connection, case_id), kept, evidence


def proofs_of(connection: sa.Connection, evidence: Mapping[str, bytes], reader: str | None = None) -> Proofs:
    """Read what shows the devices' entries in the frozen evidence of a case.

    Args:
        connection: the store.
        evidence: by doubt.
        reader: the institution that takes the case away, which gets the batches of its own devices; None for
            the bureau, which gets all.
    """
    documents = [orjson.loads(frozen) for frozen in evidence.values()]
    places = {
        (one["checkpoint"]["size"], one["index"])
        for document in documents
        for one in document.get("covered", ())
    }
    return Proofs(frozen_log.kept(connection, documents, reader), audit_paths(connection, places))


def evidence_for(connection: sa.Connection, actor: Actor, doubt: Doubt) -> bytes | None:
    """Read the frozen evidence of a doubt as an actor may have it; None before it is confirmed."""
    frozen = evidence_of(connection, doubt.doubt_id)
    if frozen is None or not is_of_a_hospital(actor):
        return frozen
    elsewhere = names_elsewhere(connection, doubt.institution_id)
    return seen_evidence.evidence_for_institution(frozen, elsewhere)


def names_elsewhere(connection: sa.Connection, institution_id: str) -> list[str]:
    """Read the ids and names of every other institution than one."""
    table = schema.institutions
    query = sa.select(table.c.institution_id, table.c.name).where(table.c.institution_id != institution_id)
    return sorted({name for row in connection.execute(query) for name in row if name})


def institution_of(connection: sa.Connection, case: Case, usual: ZoneInfo) -> tuple[str, ZoneInfo]:
    """Read the name and id of a case's institution, as letters write it, and its time zone."""
    table = schema.institutions
    query = sa.select(table.c.name, table.c.timezone).where(table.c.institution_id == case.institution_id)
    row = connection.execute(query).first()
    if row is None:
        return case.institution_id, usual
    return f"{row.name}（{case.institution_id}）", ZoneInfo(row.timezone) if row.timezone else usual
