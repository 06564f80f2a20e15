"""Put knowledge in force: one person has written it, another agrees, and central signs what both mean."""

import datetime as dt
from dataclasses import dataclass, replace

import sqlalchemy as sa

from renzheng.central.access import access_log, accounts, separation
from renzheng.central.access.access_log import Access
from renzheng.central.access.roles import Role
from renzheng.central.checks.errors import KnowledgeError
from renzheng.central.shell import SHELL
from renzheng.rules.knowledge.packfile import KnowledgePack
from renzheng.rules.knowledge.points import Point, Power


@dataclass(frozen=True, slots=True)
class Approval:
    """What two people agree on.

    Args:
        author: account of who has written it.
        approver: account of who agrees.
        power: what advices of the pack's points may do.
        first_day: from which day on; None: at once.
    """

    author: str
    approver: str
    power: Power
    first_day: dt.date | None


def approved(
    connection: sa.Connection, pack: KnowledgePack, approval: Approval, now: dt.datetime
) -> KnowledgePack:
    """Return the pack as it is once both have agreed; write it down in the access log.

    Points that are withdrawn, or whose limit could not be read, stay watched.

    Raises:
        AccountError: there is no such account.
        KnowledgeError: one lacks its role or is disabled, both are one person, or a block has no date.
        DutyError: the approver has written this pack before.
    """
    if approval.author == approval.approver:
        raise KnowledgeError(
            f"{approval.author} would be author and approver.",
            why="Knowledge is in force only when two people agree.",
            do="Let another person approve it.",
        )
    if approval.power is Power.BLOCK and approval.first_day is None:
        raise KnowledgeError(
            "A block needs the day from which it holds.",
            why="Nothing is held up before those concerned have had notice.",
            do="Name an announced day with --from.",
        )
    for account_id, role in ((approval.author, Role.RULE_AUTHOR), (approval.approver, Role.RULE_APPROVER)):
        _must_hold(connection, account_id, role)
    changed = replace(pack, points=tuple(_with_power(one, approval) for one in pack.points))
    told = {
        "author": approval.author,
        "approver": approval.approver,
        "power": approval.power.value,
        "from": approval.first_day.isoformat() if approval.first_day else None,
        "at": now.isoformat(timespec="seconds"),
        "points": sum(one.power is approval.power for one in changed.points),
    }
    thing = f"knowledge-{now:%Y%m%dT%H%M%S%f}"
    separation.do(connection, ("change", thing), "write", approval.author, now)
    separation.do(connection, ("change", thing), "approve", approval.approver, now)
    what = f"{told['points']} points: {approval.power} ({approval.author}, {approval.approver})"
    access_log.append(connection, Access(SHELL, (), "-", "knowledge_approved", what, "rules", "changed"), now)
    return replace(changed, approvals=(*pack.approvals, told), signature=None, body=b"")


def _must_hold(connection: sa.Connection, account_id: str, role: Role) -> None:
    found = accounts.must_read(connection, account_id)
    if found.disabled or role not in found.roles:
        raise KnowledgeError(
            f"{account_id} does not have the role {role}.",
            why="Who writes knowledge and who puts it in force are two duties, each with its role.",
            do="Give the role: renzheng central account role NAME --role ROLE",
        )


def _with_power(point: Point, approval: Approval) -> Point:
    if point.problem or point.valid_to is not None:
        return point
    if (point.power, point.power_from) == (approval.power, approval.first_day):
        return point
    return replace(point, power=approval.power, power_from=approval.first_day)
