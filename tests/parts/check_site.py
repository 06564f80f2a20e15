"""A central that answers checks, with two hospitals' programs and a few points in force."""

import asyncio
import datetime as dt
import json
from dataclasses import replace

from parts import stores
from parts.asking import Asking
from parts.libraries import HD, HP

from renzheng.central.access import accounts
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.checks.site import checks_of
from renzheng.central.main import make_signing_key
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store.database import Database
from renzheng.central.web.app import build_app
from renzheng.contracts import keys
from renzheng.rules.knowledge.packfile import KnowledgePack, write_pack
from renzheng.rules.knowledge.points import Kind, Point, Power

NOW = dt.datetime(2026, 3, 4, 4, tzinfo=dt.UTC)
PAIR = Point(
    "7-pair-HP-HD",
    Kind.PAIR,
    (HP, HD),
    "血液灌流 / 血液透析",
    1,
    "day",
    words="单日",
    batch="7",
    power=Power.WARN,
)
WOMEN = Point("1-sex-W", Kind.SEX, ("W",), "产前检查", "F", power=Power.WARN)
BLOCKED = Point(
    "8-frequency-B",
    Kind.FREQUENCY,
    ("B",),
    "床位",
    1,
    "day",
    power=Power.BLOCK,
    power_from=dt.date(2026, 3, 1),
)
DARK = Point("1-sex-D", Kind.SEX, ("D",), "观察项目", "F")
CHEAP = [replace(WOMEN, id=f"1-sex-W{n}", items=(f"W{n}",)) for n in range(4)]


class Site:
    """A central over a store, with two hospitals' programs."""

    def __init__(self, folder):
        self.folder = folder
        self.settings = make_settings({"data_dir": str(folder), "checks": {"blocks": True}})
        make_signing_key(self.settings.key_file)
        self.key = keys.load_private_key(self.settings.key_file.read_bytes())
        self.put([PAIR, WOMEN, BLOCKED, DARK, *CHEAP])
        self.database = Database(stores.lay(self.settings.database))
        self.metrics = Metrics()
        self.app = build_app(self.database, self.settings, lambda: NOW, self.metrics)
        self.checks = checks_of(self.settings, lambda: NOW, count=self.metrics.add)
        self.tokens = {}
        with self.database.writing() as connection:
            for name, role, at in (
                ("his-1", "hospital_office", "H1"),
                ("his-2", "hospital_office", "H2"),
                ("au", "auditor", ""),
            ):
                new = New(name, frozenset({Role(role)}), frozenset({at} - {""}), kind="program")
                accounts.add(connection, new, "test", NOW)
                self.tokens[name] = accounts.give_token(connection, name, NOW)

    def put(self, points, *, key=None, name="national.knowledge"):
        self.settings.knowledge_dir.mkdir(parents=True, exist_ok=True)
        write_pack(KnowledgePack(tuple(points)), self.settings.knowledge_dir / name, key or self.key)

    def ask(self, body, *, who="his-1", path="/api/v1/checks"):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        caller = Asking(self.app, self.tokens.get(who, who))
        return asyncio.run(caller.ask("POST", path, content, {"content-type": "application/json"}))

    def check(self, body, **more):
        answer = self.ask(body, **more)
        assert answer.status == 200, answer.text
        return json.loads(answer.body)
