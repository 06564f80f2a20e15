"""A case without a store: doubts, people in every role, and steps with all that they need."""

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

from renzheng.central.access.roles import Role
from renzheng.central.cases import acts
from renzheng.central.cases.doubts import Billed, Case, Doubt
from renzheng.central.cases.due import WorkingDays, due_after
from renzheng.central.cases.guards import Actor, Body, Step

ZONE = ZoneInfo("Asia/Shanghai")
NOW = dt.datetime(2026, 4, 7, 9, 0, tzinfo=ZONE)
HASH = "e" * 64
PEOPLE = {
    name: Actor(name, frozenset({role}), frozenset({"H1"}) if at else frozenset())
    for name, role, at in (
        ("auditor", Role.AUDITOR, False), ("auditor-2", Role.AUDITOR, False),
        ("reviewer", Role.REVIEWER, False), ("reviewer-2", Role.REVIEWER, False),
        ("doctor-a", Role.PANEL, False), ("doctor-b", Role.PANEL, False), ("doctor-c", Role.PANEL, False),
        ("approver", Role.APPROVER, False), ("finance", Role.FINANCE, False),
        ("office", Role.HOSPITAL_OFFICE, True), ("doctor", Role.DOCTOR, True),
    )
}  # fmt: skip


def a_doubt(number=1, amount=40_000, **more):
    line = Billed(f"L{number}", amount)
    return Doubt(
        f"D{number}", "C1", "H1", "2026-03", f"P{number}", (line,), "line-haemodialysis", "3", "contradicted",
        "no_presence", "run", None, amount, amount, amount, **more,
    )  # fmt: skip


class Desk:
    """One case whose steps are done in memory.

    Args:
        doubts: the case's.
    """

    def __init__(self, *doubts):
        self.case = Case("C1", "H1", "2026-03")
        self.doubts = {one.doubt_id: one for one in doubts or (a_doubt(),)}
        self.now = NOW
        self.people = dict(PEOPLE)
        self.votes = []

    def step(self, who, act, doubt_id="D1", *, evidence=HASH, rivals=(), cleared=False, **body):
        doubt, chosen = self.doubts[doubt_id], acts.ACTS[act]
        return Step(
            act, chosen.duty(doubt), chosen.origins, self.case, doubt, self.people[who], Body(**body),
            self.now,
            evidence_sha256=evidence, rivals=rivals, cleared=cleared, votes=tuple(self.votes),
        )  # fmt: skip

    def do(self, who, act, doubt_id="D1", **more):
        step = self.step(who, act, doubt_id, **more)
        after = acts.take(step)
        if act == "vote":
            self.votes.append(acts.vote_of(step))
        self.doubts[doubt_id] = after
        return after

    def due(self):
        return due_after(self.now, 10, ZONE, WorkingDays())

    def issue(self, who="auditor"):
        self.case, sent = acts.issue(
            self.case, list(self.doubts.values()), self.people[who], self.now, self.due()
        )
        self.doubts.update({one.doubt_id: one for one in sent})

    def receive(self, who="office"):
        self.case = acts.receive(self.case, self.people[who], self.now, self.due())

    def panel(self, *members, who="auditor", conflicts=(), tied=(), unable=()):
        first = next(iter(self.doubts.values()))
        step = Step(
            "panel", "", frozenset({acts.State.PANEL}), self.case, first, self.people[who],
            Body(members=members, conflicts=dict(conflicts)), self.now,
            tied=frozenset(tied), unable=frozenset(unable),
        )  # fmt: skip
        self.case, seated = acts.panel(step, list(self.doubts.values()))
        self.doubts.update({one.doubt_id: one for one in seated})

    def close(self, who="auditor"):
        self.case = acts.close(self.case, list(self.doubts.values()), self.people[who], self.now)

    def to_issued(self):
        for doubt_id in self.doubts:
            self.do("auditor", "confirm", doubt_id)
        self.issue()
        self.receive()
        return self

    def to_submitted(self, **body):
        self.to_issued().do("office", "submit", **{"position": "contest", "text": "他来过", **body})
        return self

    def to_panel(self):
        self.to_submitted()
        self.do("reviewer", "review", decision="uphold", reason="没有记录")
        self.do("reviewer-2", "review", decision="uphold", reason="同意", medical=True)
        return self

    def to_submitted_both(self):
        """Contest both of two doubts."""
        self.to_submitted()
        self.do("office", "submit", "D2", position="contest")

    def to_panel_both(self):
        """Bring the first of two before a panel."""
        self.to_panel()

    def to_final(self):
        self.to_submitted()
        self.do("reviewer", "review", decision="uphold", reason="没有记录")
        self.do("reviewer-2", "review", decision="uphold", reason="同意")
        return self

    def to_deducted(self):
        self.to_final().do("approver", "finalise")
        self.do("finance", "deduct", period="2026-05")
        return self

    def with_tie(self, who):
        self.people[who] = replace(self.people[who], ties=frozenset({"H1"}))
        return self
