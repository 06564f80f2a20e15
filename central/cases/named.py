"""Whom and what a step names: accounts and files that there are, and that are the institution's own."""

import sqlalchemy as sa

from renzheng.central.access import accounts
from renzheng.central.access.roles import Role
from renzheng.central.cases import reading
from renzheng.central.cases.doubts import Case, State
from renzheng.central.cases.errors import BodyError
from renzheng.central.cases.guards import Step
from renzheng.central.store import schema

ATTACHMENTS = schema.attachments


def must_be_known(connection: sa.Connection, step: Step) -> None:
    """Refuse a step that names a doctor or a file which the doubt's institution does not have.

    Raises:
        BodyError: it names one.
    """
    institution_id = step.doubt.institution_id
    if step.act == "assign" and not _is_a_doctor(connection, step.body.doctor, institution_id):
        raise BodyError(
            f"{step.body.doctor[:40]!r} is no doctor of this institution.",
            why="Only an account with the role doctor there could see the doubt and answer it.",
            do="Name such an account, or have one made.",
        )
    for attachment_id in step.body.attachments:
        query = sa.select(ATTACHMENTS.c.attachment_id).where(
            ATTACHMENTS.c.attachment_id == attachment_id,
            (ATTACHMENTS.c.institution_id == institution_id)
            | (ATTACHMENTS.c.account_id == step.actor.account),  # of an office of several institutions
        )
        if connection.execute(query).first() is None:
            raise BodyError(
                f"There is no attachment {attachment_id[:40]!r}.",
                do="Send the file to POST /attachments, and the id that it answers with the step.",
            )


def unable_to_vote(connection: sa.Connection, case: Case) -> frozenset[str]:
    """Return the members of a case's panel whose account is gone, lost its role, or has a tie by now."""
    seated = {
        member
        for doubt in reading.doubts_of(connection, case.case_id)
        if doubt.state is State.PANEL
        for member in set(doubt.members) - set(doubt.voted)
    }
    return frozenset(one for one in seated if not _can_vote(connection, one, case.institution_id))


def _can_vote(connection: sa.Connection, account_id: str, institution_id: str) -> bool:
    found = accounts.read(connection, account_id)
    if found is None or found.disabled or Role.PANEL not in found.roles:
        return False
    return institution_id not in found.institutions | found.ties


def _is_a_doctor(connection: sa.Connection, account_id: str, institution_id: str) -> bool:
    found = accounts.read(connection, account_id)
    return (
        found is not None
        and not found.disabled
        and Role.DOCTOR in found.roles
        and institution_id in found.institutions
    )
