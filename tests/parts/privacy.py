"""A central and kiosks that know people, with the door between them left out: calls are made directly."""

import datetime as dt
from urllib.parse import urlsplit

import sqlalchemy as sa
from parts import stores
from parts.edge import StandInEngine, jpeg_of
from parts.edge import make_settings as edge_settings

from renzheng.central.main import make_signing_key
from renzheng.central.privacy.service import PrivacyService
from renzheng.central.settings import make_settings
from renzheng.central.store import devices, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device, Institution
from renzheng.central.store.times import to_us
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose
from renzheng.contracts.log import read_entry
from renzheng.contracts.privacy import PRIVACY_PATH, RESTORE_PATH, SHARES_PATH, PrivacyError, RestoreAnswer
from renzheng.edge.device.bulk import Answer
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.device.privacy import Privacy
from renzheng.edge.errors import BulkRefusedError, BulkUnreachableError
from renzheng.edge.kiosk.main import build_agent

BEGIN = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
FACES = {"P1": 120, "P2": 200}


class Office:
    """Central, with a clock that the test moves; over SQLite, or over the store of an address."""

    def __init__(self, folder, database=None):
        self.folder = folder
        elsewhere = {} if database is None else {"database_url": database}
        self.settings = make_settings({"data_dir": str(folder / "central"), **elsewhere})
        self.key = make_signing_key(self.settings.key_file)
        self.database = Database(database or stores.lay(self.settings.database))
        self.now = BEGIN + dt.timedelta(hours=1)
        self.privacy = PrivacyService(self.database, self.settings, self.key, lambda: self.now)
        self.kiosks = {}

    def kiosk(self, device_id, institution_id, folder=None):
        """Make a kiosk and register it; again, with another folder, after its disk was lost."""
        kiosk = Kiosk(self, device_id, institution_id, folder or self.folder / device_id)
        self.kiosks[device_id] = kiosk
        return kiosk

    def rows(self, table):
        with self.database.reading() as connection:
            return connection.execute(sa.select(table)).all()

    def close(self):
        for kiosk in self.kiosks.values():
            kiosk.agent.store.close()
        self.database.close()


class Kiosk:
    """A kiosk as central knows it; `away` takes its network."""

    def __init__(self, office, device_id, institution_id, folder):
        self.office, self.id, self.institution_id = office, device_id, institution_id
        self.away = False
        self.clock = SteppedClock(BEGIN, runs=False)
        settings = edge_settings(folder, device={"device_id": device_id, "institution_id": institution_id})
        self.folder = folder
        self.agent = build_agent(settings, clock=self.clock, engine=StandInEngine())
        self.key = self.agent.keyring.current()
        with office.database.writing() as connection:
            devices.put_institution(connection, Institution(institution_id, institution_id, "371122"))
            held = sa.select(schema.devices.c.device_id).where(schema.devices.c.device_id == device_id)
            if connection.execute(held).first() is None:
                device = Device(device_id, institution_id, "0", Purpose.DIALYSIS)
                devices.register(
                    connection, device, keys.load_public_key(keys.public_pem(self.key)), office.now
                )
        self.privacy = Privacy(
            self, device_id, key=lambda: self.key, central_key=lambda: office.key,
            forgetting=self.agent.forgetting, releases=self.agent.releases, people=self.agent.people,
            wall=lambda: self.clock.read().wall, every_seconds=60,
        )  # fmt: skip

    def enrol(self, *people):
        for person in people:
            self.agent.registration.enrol(
                person, surname="王某", card_number=f"62220000{person}",
                photographs=[jpeg_of(FACES[person])], consented=True,
            )  # fmt: skip
        self.privacy.look()

    def get(self, target):
        return self._said(target, lambda _path: self.office.privacy.waiting(self.id))

    def post(self, target, body, _content_type=""):
        service = self.office.privacy
        takes = {
            PRIVACY_PATH: lambda: service.take_answer(self.id, body),
            SHARES_PATH: lambda: service.take_shares(self.id, body),
            RESTORE_PATH: lambda: service.answer_restore(self.institution_id, body),
        }
        return self._said(target, lambda path: takes[path]())

    def ask(self, asked):
        return RestoreAnswer.model_validate_json(
            self.post(RESTORE_PATH, asked.model_dump_json().encode()).body
        )

    def _said(self, target, answer):
        if self.away:
            raise BulkUnreachableError("away")
        try:
            said = answer(urlsplit(target).path)
        except PrivacyError as error:
            raise BulkRefusedError(error.what, status=400) from None
        return Answer(
            200, b"{}" if said is None else said.model_dump_json().encode(), "application/json", None
        )

    def deliver(self):
        """Bring what the kiosk has logged into central's store, as the ingest does."""
        lines = [read_entry(line) for line in self.agent.log.lines(0, 10_000)]
        with self.office.database.writing() as connection:
            entries, own = schema.log_entries, schema.devices.c.device_id == self.id
            reached = connection.execute(sa.select(schema.devices.c.head_sequence).where(own)).scalar_one()
            for one in lines:
                if one.sequence > reached:
                    connection.execute(sa.insert(entries).values(
                        device_id=self.id, sequence=one.sequence, hash=one.hash, line=one.line,
                        received_at=to_us(self.clock.read().wall),
                    ))  # fmt: skip
            head = self.agent.log.head()
            connection.execute(
                sa.update(schema.devices).where(own).values(head_sequence=head.sequence, head_hash=head.hash)
            )
        self.office.privacy.settle()

    def templates(self, person):
        return self.agent.people.references(person, StandInEngine.model)

    def certificates(self):
        table = schema.privacy_orders
        query = sa.select(table.c.outcome).where(table.c.device_id == self.id).order_by(table.c.issued_at)
        with self.office.database.reading() as connection:
            return connection.execute(query).scalars().all()
