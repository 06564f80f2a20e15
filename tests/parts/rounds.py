"""A bureau with hospitals, and rounds played through them over months: for pages, rates and exports."""

import datetime as dt
import random

import sqlalchemy as sa
from parts.adt import message
from parts.devices import LogWriter

from renzheng.central.adt.receiving import Receiver
from renzheng.central.claims.source import Options
from renzheng.central.draw.frame import Wanted
from renzheng.central.draw.rounds import Plan, Rounds, Secret
from renzheng.central.store import devices, inspectors, schema
from renzheng.central.store.devices import Device, Institution
from renzheng.central.store.times import to_us
from renzheng.contracts.events import Purpose

OFFICERS = (Secret("王检查", "four words nobody guesses"), Secret("Li Shen", "and four others, also new"))
HOSPITALS = {
    "H1": ("县人民医院", 0.95),
    "H2": ("仁爱医院", 0.30),
    "H3": ("康复医院", 0.55),
    "H4": ("中医院", 0.7),
}
"""Hospital, its name, and the share of its patients who are in bed."""
WARDS = ("内科", "外科")
BEDS = 8
HOUR = dt.timedelta(hours=1)


class Bureau:
    """Plays rounds; `now` is moved by whoever plays."""

    def __init__(self, database, key, folder, now):
        self.database = database
        self.now = now
        self.rounds = Rounds(database, key, folder)
        self.receiver = Receiver(database, Options(), lambda: self.now)
        self.chance = random.Random(1)
        self.sequence = 0
        with database.writing() as connection:
            for institution_id, (name, _) in HOSPITALS.items():
                devices.put_institution(connection, Institution(institution_id, name, "371121"))
            devices.put_institution(connection, Institution("bureau:371121", "医保局", "371121"))
            tablet = Device("tablet-1", "bureau:371121", "s1", Purpose.INPATIENT, "检查员一号")
            devices.register(connection, tablet, LogWriter("tablet-1").public_key, now)
            inspectors.add(connection, "I-7", "赵检查", to_us(now))

    def admit_everybody(self):
        """Fill every bed of every hospital, by ADT."""
        recorded = f"{(self.now - HOUR).astimezone(dt.timezone(8 * HOUR)):%Y%m%d%H%M%S}"
        for hospital in HOSPITALS:
            for ward in WARDS:
                for bed in range(BEDS):
                    visit = f"{hospital}-{WARDS.index(ward)}-{bed}"
                    told = {"institution": hospital, "visit": visit, "person": f"P-{visit}", "ward": ward}
                    number = f"A-{visit}"
                    self.receiver.receive(
                        message("A01", recorded, number, bed=str(bed + 1), admitted=recorded, **told).encode()
                    )

    def commit(self, *, wards=6, per_ward=3):
        """Commit to a round that is due in two hours and closes four hours later."""
        plan = Plan(
            wanted=Wanted(list(HOSPITALS), [Purpose.INPATIENT]),
            assigned=dict.fromkeys(HOSPITALS, "tablet-1"),
            wards=wards,
            per_ward=per_ward,
            public_value="lottery：福彩3D 七期开奖号码（中国福利彩票官网），连写",
            known_at=self.now + HOUR / 2,
            due_at=self.now + 2 * HOUR,
            closes_at=self.now + 6 * HOUR,
        )
        return self.rounds.commit(plan, OFFICERS, self.now).round_id

    def draw(self, round_id):
        """Draw it as soon as its value is known."""
        self.now += HOUR
        self.rounds.seal(round_id, f"{self.chance.randint(0, 10**21 - 1):021d}", OFFICERS, self.now)

    def open(self):
        """Wait until it is due, and give the checks of all rounds that are open."""
        self.now += HOUR
        self.rounds.settle(self.now)
        return self.checks("open")

    def checks(self, state):
        table, rounds = schema.round_checks, schema.rounds
        query = sa.select(table).join(rounds, rounds.c.round_id == table.c.round_id)
        with self.database.reading() as connection:
            found = connection.execute(query.where(rounds.c.state == state).order_by(table.c.check_id))
            return [dict(row) for row in found.mappings()]

    def answer(self, check, result, at=None):
        """Put an answer where the ingest would."""
        self.sequence += 1
        names = ("check_id", "round_id", "institution_id", "visit_id", "person_id", "drawn_at", "due_at")
        with self.database.writing() as connection:
            connection.execute(
                schema.spot_checks.insert().values(
                    device_id="tablet-1", sequence=self.sequence, answered_at=to_us(at or self.now),
                    result=result, inspector_id="I-7", **{name: check[name] for name in names},
                )
            )  # fmt: skip

    def answer_as_they_lie(self, check):
        """Answer by the share of patients who are in bed there; some refuse or are not reached."""
        dice = self.chance.random()
        if dice < 0.05:
            return
        if dice < 0.1:
            self.answer(check, "refused")
            return
        in_bed = self.chance.random() < HOSPITALS[check["institution_id"]][1]
        self.answer(check, "present" if in_bed else "absent")

    def close(self):
        """Wait until everything has closed, and publish."""
        self.now += 5 * HOUR
        return self.rounds.settle(self.now)

    def play_months(self, months, rounds_a_month=3):
        """Play some months of rounds."""
        for _ in range(months * rounds_a_month):
            round_id = self.commit()
            self.draw(round_id)
            for check in self.open():
                self.answer_as_they_lie(check)
            self.close()
            self.now += dt.timedelta(days=30) / rounds_a_month
