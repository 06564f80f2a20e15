"""Plays the day's doubts on: one to its deduction, one to its clearing, each step by another person."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from renzheng.central.cases import lists, reading
from renzheng.central.cases.doubts import Doubt
from renzheng.central.cases.guards import Actor, Body
from renzheng.central.cases.keeping import Cases
from renzheng.contracts import keys
from renzheng.deploy.demo import claims, story
from renzheng.deploy.demo.stage import Stage
from renzheng.rules.pack import load_pack

Steps = Sequence[tuple[str, str, Body]]
"""Who does what, with what is sent."""
LAST: Mapping[str, Steps] = {
    "0003": (
        (
            "north-office",
            "submit",
            Body(position="accept", text="重复收费，同意退回。Billed twice; we agree."),
        ),
        ("approver", "finalise", Body(reason="机构认可。The institution agrees.")),
        ("finance", "deduct", Body(period=f"{story.DAY:%Y-%m}")),
    ),
    "0004": (
        (
            "north-office",
            "submit",
            Body(
                position="contest",
                text="患者当日已透析，漏签到；透析机记录与医嘱备查。"
                "The patient was dialysed and not signed in; the machine's log and the order can be seen.",
            ),
        ),
        ("reviewer", "review", Body(decision="clear", reason="原始记录齐全。The records are complete.")),
        ("approver", "finalise", Body(reason="同意撤销。Agreed: nothing is owed.")),
    ),
}
"""By the bill's serial number, what follows once the case is issued and received."""
ENDS: Mapping[str, str] = {"0003": "deducted", "0004": "cleared"}
"""How they must end."""


def play(stage: Stage) -> list[dict[str, Any]]:
    """Draft and issue the month's case of one clinic, and bring two of its doubts to their ends.

    Returns:
        Each of the two as the report has it: number, state, yuan, and its steps from the journal.
    """
    cases, office = _cases(stage), _actor("north-office")
    auditor, place = _actor("auditor"), story.NORTH.institution_id
    case = cases.draft(auditor, f"{story.DAY:%Y-%m}", place).cases[0]
    with stage.central.database.reading() as connection:
        drafted = lists.doubts_seen(connection, auditor, case.case_id)
    cases.act_on_many(auditor, {one.doubt_id: one.version for one in drafted}, "confirm", Body())
    cases.issue(auditor, case.case_id)
    cases.receive(office, case.case_id)
    by_line = {one.lines[0].line_id: one for one in drafted}
    ended = []
    for line in story.LINES:
        if line.serial in LAST:
            doubt = by_line[claims.line_id_of(line)]
            for who, act, body in LAST[line.serial]:
                doubt = cases.act(_actor(who), doubt.doubt_id, act, body)
            ended.append(_told(stage, line.serial, doubt))
    return ended


def _cases(stage: Stage) -> Cases:
    settings = stage.central.settings
    key = keys.load_private_key(settings.key_file.read_bytes())
    pack = load_pack(settings.audit.rules_dir).for_region(settings.audit.region)
    zone = ZoneInfo(settings.timezone)
    return Cases(stage.central.database, lambda: key, lambda: pack, zone, stage.now, settings.audit.region)


def _actor(account: str) -> Actor:
    role, places = story.ACCOUNTS[account]
    return Actor(account, frozenset({role}), frozenset(places))


def _told(stage: Stage, serial: str, doubt: Doubt) -> dict[str, Any]:
    with stage.central.database.reading() as connection:
        journal = [orjson.loads(kept.entry) for kept in reading.read_journal(connection, doubt.case_id)]
    return {
        "serial": serial,
        "doubt_id": doubt.doubt_id,
        "state": str(doubt.state),
        "expected": ENDS[serial],
        "right": str(doubt.state) == ENDS[serial],
        "at_stake": f"{doubt.at_stake_fen / 100:.2f}",
        "deducted": f"{doubt.deducted_fen / 100:.2f}",
        "statement": doubt.statement,
        "steps": [
            {"act": one["act"], "account": one["actor"]["account"]}
            for one in journal
            if one["doubt"] in {doubt.doubt_id, ""}
        ],
    }
