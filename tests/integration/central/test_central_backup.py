"""Backups of central: whole or refused, restored into a new epoch, tried out without touching anything."""

import socket

import pytest
import sqlalchemy as sa
from parts import stores
from parts.central import register
from parts.devices import LogWriter
from typer.testing import CliRunner

from renzheng.central.backup import backups
from renzheng.central.checks.keeping import Answer, Check, Keeper
from renzheng.central.command import app
from renzheng.central.errors import BackupError
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.main import make_signing_key
from renzheng.central.settings import read_settings
from renzheng.central.site import succession
from renzheng.central.store import audits, identity, schema
from renzheng.central.store.database import Database
from renzheng.central.verify.check import LogVerified
from renzheng.central.verify.publish import take_checkpoint
from renzheng.central.verify.store import check_store
from renzheng.contracts import keys, log
from renzheng.contracts.events import utc_now
from renzheng.contracts.messages import open_ack
from renzheng.contracts.sealing import SealError

NOTES, DAY_US = schema.checkpoints, 86_400_000_000
UP = "renzheng/v1/s1/kiosk-1/up/log"


class Site:
    """A central's folder with one device's log."""

    def __init__(self, folder, url):
        self.config = folder / "central.toml"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        own = url if url.startswith("postgresql") else ""
        self.config.write_text(f'data_dir = "data"\ndatabase_url = "{own}"\nport = {port}\n')
        self.settings = read_settings(self.config)
        self.key = make_signing_key(self.settings.key_file)
        database = self.open()
        self.writer = register(database, LogWriter())
        database.close()
        (self.settings.lake_dir / "attendance").mkdir(parents=True)
        (self.settings.lake_dir / "attendance" / "day.parquet").write_bytes(b"rows")

    def open(self):
        database = Database(stores.lay(self.settings.database))
        database.migrate()
        return database

    def write(self, count):
        fresh = self.writer.many(count)
        database = self.open()
        ingest = Ingest(database, self.key, utc_now)
        batch = log.sign_batch("kiosk-1", [one.line for one in fresh], self.writer.key, ack_version=2)
        (reply,) = ingest.take([Message(UP, batch)])
        database.close()
        return open_ack(reply.payload, self.key)

    def checkpoint(self):
        database = self.open()
        settings = self.settings
        take_checkpoint(database, settings.log_origin, self.key, settings.checkpoints_dir, utc_now())
        database.close()

    def take(self, out, passphrase=None):
        return backups.take(self.settings, self.config, out, passphrase, utc_now())

    def restore(self, backup, passphrase=None):
        return backups.restore(self.settings, backup, passphrase, utc_now())


@pytest.fixture
def site(tmp_path, database_url):
    return Site(tmp_path, database_url)


def test_what_is_restored_is_what_was_backed_up_in_a_new_epoch(site, tmp_path):
    site.write(30)
    site.checkpoint()
    backup = site.take(tmp_path / "out", "six random words of a list")
    later = site.write(20)
    assert not list(backup.rglob("central.pem"))
    with pytest.raises(SealError):
        site.restore(backup, "another passphrase")
    tried = site.restore(backup, "six random words of a list")
    assert (tried.devices, tried.entries, tried.checkpoints) == (1, 30, 1)
    database = site.open()
    assert list(check_store(database)) == [LogVerified("kiosk-1", 30)]
    with database.reading() as connection:
        own = identity.read(connection)
        assert connection.execute(sa.select(schema.epochs.c.reason)).scalars().all() == ["restored"]
    database.close()
    assert (own.store_id, own.epoch) == (later.place.store_id, later.place.epoch + 1)
    assert keys.key_id(make_signing_key(site.settings.key_file)) == keys.key_id(site.key)
    assert (site.settings.lake_dir / "attendance" / "day.parquet").read_bytes() == b"rows"
    assert (site.settings.checkpoints_dir / "latest.note").exists()
    (before,) = tmp_path.glob("data.before-*")
    assert (before / "keys" / "central.pem").exists()
    assert site.restore(backup, "six random words of a list").entries == 30
    database = site.open()
    with database.reading() as connection:
        assert identity.read(connection).epoch == 3
    database.close()


def test_the_runs_of_a_backup_are_found_on_a_machine_that_keeps_its_data_elsewhere(site, tmp_path):
    site.write(1)
    database = site.open()
    day, here = utc_now().date(), site.settings.runs_dir
    with database.writing() as connection:
        audits.begin(connection, "kept", day, day, folder=str(here / "kept"), now_us=1)
        audits.begin(connection, "lost", day, day, folder=str(here / "lost"), now_us=2)
    database.close()
    (here / "kept").mkdir(parents=True)
    (here / "kept" / "report.html").write_text("proof")
    backup = site.take(tmp_path / "out")
    there = tmp_path / "there.toml"
    there.write_text(site.config.read_text().replace('"data"', '"elsewhere"'))
    settings = read_settings(there)
    backups.restore(settings, backup, None, utc_now())
    database = Database(settings.database)
    with database.reading() as connection:
        folders = dict(
            connection.execute(sa.select(schema.audit_runs.c.run_id, schema.audit_runs.c.folder)).all()
        )
    database.close()
    assert folders == {"kept": str(settings.runs_dir / "kept"), "lost": str(here / "lost")}
    assert (settings.runs_dir / "kept" / "report.html").read_text() == "proof"


def test_what_was_answered_to_a_check_is_in_a_backup_that_is_taken_meanwhile(site, tmp_path):
    place = site.settings.checks_dir / "checks.sqlite"
    kept = Keeper(place)
    kept.keep(
        Check(
            "C1",
            1,
            "H1",
            "his",
            "before",
            "ok",
            b"{}",
            [({"id": "A1", "point": "p", "version": "1"}, True)],
            [],
        )
    )
    kept.answer([Answer("A1", "overridden", "another day")], "his", 2)
    (site.settings.checks_dir / "history.sqlite").write_bytes(b"made again from the tables")
    taken = site.take(tmp_path / "out")
    kept.close()
    copy = taken / "data" / "checks"
    assert [one.name for one in copy.iterdir()] == ["checks.sqlite"]
    restored = Keeper(copy / "checks.sqlite")
    assert restored.answers("A1") == [("overridden", "another day")]
    restored.close()


def test_two_of_one_second_keep_both_their_places(site, tmp_path):
    site.write(3)
    now = utc_now()
    out = tmp_path / "out"
    first = backups.take(site.settings, site.config, out, None, now)
    (out / f".{first.name}-2.part").mkdir()  # a third is under way
    (out / f".{first.name}-2.part" / "of another").touch()
    second = backups.take(site.settings, site.config, out, None, now)
    assert second.name == f"{first.name}-3"
    assert (out / f".{first.name}-2.part" / "of another").exists()
    for _ in range(3):
        assert backups.restore(site.settings, first, None, now).entries == 3
    assert len(list(tmp_path.glob("data.before-*"))) == 3


def test_a_restore_keeps_the_key_to_which_devices_have_followed(site, tmp_path):
    site.write(3)
    site.checkpoint()
    backup = site.take(tmp_path / "out")
    database = site.open()
    new = succession.rotate(database, site.settings.key_file, utc_now())
    database.close()
    site.restore(backup)
    assert keys.key_id(make_signing_key(site.settings.key_file)) == keys.key_id(new)
    assert site.restore(site.take(tmp_path / "out")).checkpoints == 1  # signed by the key before


def test_a_restore_that_cannot_be_finished_leaves_what_was_there(site, tmp_path, monkeypatch):
    site.write(5)
    backup = site.take(tmp_path / "out")
    site.write(5)

    def full(*_):
        (site.settings.data_dir / "half").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups.stores, "put_store", full)
    monkeypatch.setattr(backups, "try_out", lambda *_: None)
    with pytest.raises(BackupError, match="No space left"):
        site.restore(backup)
    assert not list(tmp_path.glob("data.before-*"))
    assert not (site.settings.data_dir / "half").exists()
    database = site.open()
    assert list(check_store(database)) == [LogVerified("kiosk-1", 10)]
    database.close()


def test_a_backup_is_tried_out_by_command_and_one_that_was_changed_is_refused(site, tmp_path):
    site.write(10)
    run = CliRunner()
    told = ["--config", str(site.config)]
    done = run.invoke(app, ["backup", str(tmp_path / "out"), *told])
    assert done.exit_code == 0, done.output
    (backup,) = (tmp_path / "out").iterdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    done = run.invoke(app, ["restore", str(backup), "--test", *told])
    assert done.exit_code == 0, done.output
    assert "1 devices, 10 entries and 0 checkpoints hold" in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    (copy,) = backup.glob("store.*")
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.raises(BackupError, match=copy.name):
        backups.try_out(site.settings, backup, None)
    (backup / "manifest.json").unlink()
    with pytest.raises(BackupError, match="no whole backup"):
        site.restore(backup)


def test_a_log_that_was_damaged_before_it_was_copied_is_found_and_nothing_replaced(site, tmp_path):
    site.write(10)
    database = site.open()
    with database.writing() as connection:
        table = schema.log_entries
        connection.execute(sa.delete(table).where(table.c.sequence == 4))
    database.close()
    backup = site.take(tmp_path / "out")
    with pytest.raises(BackupError, match="entry 4, missing"):
        site.restore(backup)
    assert not list(tmp_path.glob("data.before-*"))


def test_nothing_is_restored_while_central_runs(site, tmp_path):
    backup = site.take(tmp_path / "out")
    with socket.socket() as running:
        running.bind(("127.0.0.1", site.settings.port))
        running.listen()
        with pytest.raises(BackupError, match="still runs"):
            site.restore(backup)


def test_entries_are_safe_once_a_checkpoint_is_old_and_a_backup_holds_it(site, tmp_path):
    site.write(10)
    site.checkpoint()
    assert site.write(1).safe_upto == 0
    database = site.open()
    with database.writing() as connection:
        connection.execute(sa.update(NOTES).values(taken_at=NOTES.c.taken_at - 2 * DAY_US))
    database.close()
    site.checkpoint()
    assert site.write(1).safe_upto == 10
    site.take(tmp_path / "out")
    database = site.open()
    with database.writing() as connection:
        connection.execute(sa.update(NOTES).values(taken_at=NOTES.c.taken_at - DAY_US))
        connection.execute(sa.update(schema.backups).values(taken_at=1))  # none has been taken for long
    database.close()
    site.checkpoint()
    assert site.write(1).safe_upto == 10


def test_a_checkpoint_reads_no_older_leaf(site):
    for _ in range(7):
        site.write(3)
        site.checkpoint()
    database = site.open()
    statements = []
    sa.event.listen(
        database.engine, "before_cursor_execute", lambda _c, _cur, statement, *_: statements.append(statement)
    )
    site.writer.many(1)
    take_checkpoint(database, site.settings.log_origin, site.key, site.settings.checkpoints_dir, utc_now())
    database.close()
    reads = [one for one in statements if "FROM checkpoints" in one and "heads" in one.split("FROM")[0]]
    assert all("WHERE" in one and "safe" in one for one in reads)
