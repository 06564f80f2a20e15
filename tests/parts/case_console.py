"""A console with people in every role and a month of contradicted lines, for pages of cases in a browser."""

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

import sqlalchemy as sa
from parts import stores
from parts.cases_store import DAY, VERDICT

from renzheng.central.access import accounts, sessions
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.cases import powers
from renzheng.central.cases.keeping import NIGHT
from renzheng.central.main import make_signing_key
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store import audits, devices, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Institution
from renzheng.central.web.access import SESSION_COOKIE
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts import keys

START = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)
REASONS = ("no_session", "too_short", "more_lines_than_sessions")
NAMES = ("县人民医院", "县中医医院", "惠民血液透析中心", "城东医院", "仁和医院", "安康透析中心")
PEOPLE: Mapping[str, tuple[Role, str]] = {
    "lin": (Role.AUDITOR, ""),
    "gao": (Role.REVIEWER, ""),
    "xu": (Role.REVIEWER, ""),
    "he": (Role.APPROVER, ""),
    "qian": (Role.FINANCE, ""),
    "office-1": (Role.HOSPITAL_OFFICE, "H01"),
    "office-2": (Role.HOSPITAL_OFFICE, "H02"),
    "office-4": (Role.HOSPITAL_OFFICE, "H04"),
    "dr-wu": (Role.DOCTOR, "H01"),
    "expert-1": (Role.PANEL, ""),
    "expert-2": (Role.PANEL, ""),
    "expert-3": (Role.PANEL, ""),
}


class CaseConsole:
    """A served console whose clock the test sets.

    Args:
        folder: for its store.
        hospitals: how many institutions.
        lines: contradicted lines of each.
    """

    def __init__(self, folder: Path, hospitals: int, lines: int) -> None:
        self.now = START
        self.settings = make_settings({"data_dir": str(folder), "port": 0})
        make_signing_key(self.settings.key_file)
        self.database = Database(stores.lay(self.settings.database))
        self._fill(folder, hospitals, lines)
        self.server = WebServer(
            build_app(self.database, self.settings, lambda: self.now, Metrics()), "127.0.0.1", 0
        )

    @property
    def url(self) -> str:
        return self.server.url

    def cookie(self, name: str) -> dict[str, str | bool]:
        """Begin a session of somebody, whose password was just shown, as their browser's cookie."""
        with self.database.writing() as connection:
            shown = sessions.begin(connection, name, self.now)
        place = {"domain": "127.0.0.1", "path": "/", "secure": True, "httpOnly": True}
        return {"name": SESSION_COOKIE, "value": shown, **place}

    def undrafted(self, place: str) -> str:
        """Bill a suspicious line at an institution after the month was drafted; return its id."""
        row = VERDICT | {
            "institution_id": place, "line_id": f"{place}-late", "person_id": "P-late", "amount_fen": 40_000,
            "at_stake_fen": 40_000, "verdict": "suspicious", "reason": "no_session",
        }  # fmt: skip
        with self.database.writing() as connection:
            connection.execute(sa.insert(schema.verdicts).values(row))
        return f"{place}-late"

    def weaken(self, rule_id: str, version: str) -> None:
        """Take power from a rule, as it loses it by itself."""
        key = keys.load_private_key(self.settings.key_file.read_bytes())
        with self.database.writing() as connection:
            powers.change(connection, (rule_id, version), powers.WARN, NIGHT, "6/9", self.now, key)

    def _fill(self, folder: Path, hospitals: int, lines: int) -> None:
        rows = []
        with self.database.writing() as connection:
            for number in range(1, hospitals + 1):
                place = f"H{number:02}"
                name = NAMES[number - 1] if number <= len(NAMES) else f"第{number}医院"
                devices.put_institution(connection, Institution(place, name, "371122"))
                for line in range(lines):
                    fen = 30_000 + 1_000 * (line % 7)
                    rows.append(
                        VERDICT | {
                            "institution_id": place, "line_id": f"{place}-L{line:03}", "amount_fen": fen,
                            "person_id": f"P{number:02}{line // 2:03}", "at_stake_fen": fen,
                            "verdict": "contradicted", "reason": REASONS[line % len(REASONS)],
                            "doctor_id": f"D{line % 3}",
                        }
                    )  # fmt: skip
            audits.begin(connection, "run", DAY, DAY, folder=str(folder), now_us=1)
            connection.execute(sa.insert(schema.verdicts), rows)
            audits.publish(connection, "run", DAY, DAY, summary={"parameters": {}}, now_us=2)
            for name, (role, at) in PEOPLE.items():
                new = New(name, frozenset({role}), frozenset({at}) if at else frozenset())
                accounts.add(connection, new, "test", self.now)


@contextlib.contextmanager
def case_console(folder: Path, hospitals: int, lines: int) -> Iterator[CaseConsole]:
    """Serve a console over contradicted lines."""
    made = CaseConsole(folder, hospitals, lines)
    made.server.start()
    try:
        yield made
    finally:
        made.server.stop()
        made.database.close()
