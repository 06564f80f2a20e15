"""A closed year leaves the store: what the archive proves by itself, and what the store still knows after."""

import shutil
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import orjson
import pytest
import sqlalchemy as sa
from parts import stores
from parts.central import register
from parts.devices import LogWriter, rotate
from typer.testing import CliRunner

from renzheng.central.archive import form, pruning, returning, writing
from renzheng.central.archive.checking import EntriesOf, check_archives
from renzheng.central.archive.form import (
    TABLES,
    Manifest,
    Reader,
    Writer,
    hash_file,
    open_archive,
    write_manifest,
)
from renzheng.central.archive.writing import Signer, archive, clean_cut
from renzheng.central.backup import backups
from renzheng.central.errors import ArchiveError, LogFaultError
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.log_command import app as log_command
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store import archived, devices, identity, locks, schema
from renzheng.central.store.database import Database
from renzheng.central.store.identity import FormerKeys, LostEntries
from renzheng.central.store.times import to_us
from renzheng.central.verify.archived import open_word, sign_word
from renzheng.central.verify.check import BadEntry, Fault, LogVerified, StoredBatch
from renzheng.central.verify.checkpoint import Checkpoint, CheckpointError, read_note, sign_note
from renzheng.central.verify.projections import check_projections
from renzheng.central.verify.publish import check_checkpoints, check_kept_note, take_checkpoint
from renzheng.central.verify.store import check_store
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts import keys, log
from renzheng.contracts.events import Purpose
from renzheng.contracts.messages import Ack, CentralKey, open_ack, sign_ack, sign_central_key
from renzheng.edge.device.link import sender

KEY, STRANGER = keys.generate_key(), keys.generate_key()
SIGNER, ZONE = Signer(KEY), ZoneInfo("Asia/Shanghai")
NOW = datetime(2027, 3, 1, tzinfo=UTC)
ENTRIES, BATCHES = schema.log_entries, schema.log_batches
ENDS = {"kiosk-1": {2025: 341, 2026: 361}, "kiosk-2": {2025: 95, 2026: 115}}


def take(database, writer, batches, at):
    topic = f"renzheng/v1/s1/{writer.device_id}/up/log"
    replies = Ingest(database, KEY, lambda: at).take([Message(topic, batch) for batch in batches])
    return [open_ack(reply.payload, KEY) for reply in replies]


def send(database, writer, count, at):
    """Let a device write and send some entries."""
    begun = len(writer.entries)
    writer.many(count)
    answers = take(database, writer, writer.batches(writer.entries[begun:]), at)
    assert [answer.problem for answer in answers] == [None] * len(answers)


def build(database, folder):
    """Two years of two devices: one changes its key, of the other entries were lost at central."""
    one, two = register(database, LogWriter("kiosk-1")), register(database, LogWriter("kiosk-2"))

    def note(at):
        return take_checkpoint(database, "renzheng/test", KEY, folder, at)[1]

    spring, summer = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    send(database, one, 250, spring)
    old, new = rotate(one)
    first_key = old
    one.key = old
    take(database, one, [one.batch(one.entries[250:])], spring)
    one.key = new
    send(database, two, 60, spring)
    note(spring)
    two.many(15)
    word = sign_ack(Ack(device_id="kiosk-2", upto=75, head_hash=two.head.hash), KEY).decode()
    with database.writing() as connection:
        held = log.Head(60, two.entries[59].hash)
        identity.keep_lost(connection, LostEntries("kiosk-2", held, two.head, word), 1, to_us(summer))
    send(database, one, 90, summer)
    send(database, two, 20, summer)
    notes = [note(summer)]
    send(database, one, 20, datetime(2026, 2, 1, tzinfo=UTC))
    send(database, two, 20, datetime(2026, 2, 1, tzinfo=UTC))
    notes.append(note(datetime(2026, 2, 2, tzinfo=UTC)))
    send(database, one, 10, datetime(2027, 1, 20, tzinfo=UTC))
    notes.append(note(datetime(2027, 1, 21, tzinfo=UTC)))
    note(datetime(2027, 1, 23, tzinfo=UTC))
    return SimpleNamespace(
        one=one, two=two, first_key=first_key, notes=[path.read_text(encoding="utf-8") for path in notes]
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with both its archives; tests take copies."""
    folder = tmp_path_factory.mktemp("archived")
    database = Database(stores.lay(f"sqlite:///{folder / 'store' / 'c.sqlite'}"))
    database.migrate()
    made = build(database, folder / "notes")
    made.folders = [archive(database, SIGNER, folder / "out", year, ZONE, NOW)[0] for year in (2025, 2026)]
    database.close()
    made.store = folder / "store"
    return made


@pytest.fixture
def database(made, tmp_path):
    shutil.copytree(made.store, tmp_path / "store")
    database = Database(f"sqlite:///{tmp_path / 'store' / 'c.sqlite'}")
    yield database
    database.close()


@pytest.fixture
def copy(made, tmp_path):
    """The archive of 2025, to be changed."""
    return Path(shutil.copytree(made.folders[0], tmp_path / "copy"))


def prune(database, folder, last_year=2025):
    return pruning.prune(database, folder, [KEY], last_year, NOW)


def count(database, table=ENTRIES):
    with database.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def good(year, name):
    before = {2025: 0, 2026: ENDS[name][2025]}
    return LogVerified(name, ENDS[name][year], before[year])


def test_archives_verify_by_themselves_and_join(made):
    first = check_archives(made.folders[:1], [KEY])
    assert first.results == [good(2025, "kiosk-1"), good(2025, "kiosk-2")]
    both = check_archives(reversed(made.folders), [KEY])
    assert both.results == [good(year, name) for year in (2025, 2026) for name in ENDS]
    assert (both.checkpoints, both.beyond) == (3, {})
    second = check_archives(made.folders[1:], [KEY])
    assert second.results == both.results[2:]
    manifest = first.archives[0].manifest
    assert (manifest.year, manifest.entries, manifest.devices) == (2025, 341 + 80, 2)


def test_an_archive_is_its_owners_alone(made):
    for folder in made.folders:
        assert {path.stat().st_mode & 0o077 for path in [folder, *folder.iterdir()]} == {0}
        assert not [path for path in folder.parent.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("name", [form.MANIFEST, form.SIGNATURE, *(f"{one}.parquet" for one in TABLES)])
def test_a_flipped_byte_is_named(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ArchiveError, match=name if name.endswith("parquet") else "not signed"):
        check_archives([copy], [KEY])


def test_another_key_a_missing_file_and_a_file_of_another_year_are_named(made, copy):
    with pytest.raises(ArchiveError, match="not signed by central's key"):
        check_archives([copy], [STRANGER])
    shutil.copyfile(made.folders[1] / "entries.parquet", copy / "entries.parquet")
    with pytest.raises(ArchiveError, match=r"entries\.parquet"):
        check_archives([copy], [KEY])
    (copy / "entries.parquet").unlink()
    with pytest.raises(ArchiveError, match=r"entries\.parquet"):
        check_archives([copy], [KEY])


def rewrite(folder, name, change):
    """Change an archive as whoever holds central's key could: every hash and signature of central fits."""
    opened = open_archive(folder, [KEY])
    rows = [list(vars(row).values()) for row in form.Reader(opened, name).all()]
    writer = Writer(folder, name)
    writer.add(change(rows))
    writer.close()
    sign_again(folder, opened.manifest)


def sign_again(folder, manifest, **changes):
    files = {f"{name}.parquet": hash_file(folder / f"{name}.parquet") for name in TABLES}
    write_manifest(folder, manifest.model_copy(update={"files": files, **changes}), KEY)


def without(number):
    return lambda rows: rows[:number] + rows[number + 1 :]


def with_value(number, column, value):
    def change(rows):
        rows[number][column] = value
        return rows

    return change


def with_other_history(rows):
    other = LogWriter("kiosk-1")
    other.many(341)
    for row, entry in zip(rows[:341], other.entries, strict=True):
        row[2:4] = entry.hash, entry.line
    return rows


def with_foreign_key(rows):
    rows[0][2] = keys.public_pem(STRANGER)
    return rows


FORGERIES = {
    "an entry dropped": ("entries", without(119), "kiosk-1", 120, Fault.MISSING),
    "an entry altered": ("entries", with_value(119, 3, b"{}"), "kiosk-1", 120, Fault.UNREADABLE),
    "another history": ("entries", with_other_history, "kiosk-1", 1, Fault.UNSIGNED),
    "the end cut off": ("entries", lambda rows: rows[:-5], "kiosk-2", 76, Fault.UNSIGNED),
    "a signature dropped": ("batches", without(1), "kiosk-1", 101, Fault.UNSIGNED),
    "a device's key exchanged": ("keys", with_foreign_key, "kiosk-1", 1, Fault.UNSIGNED),
    "the key of a rotation exchanged": (
        "keys",
        with_value(1, 2, keys.public_pem(STRANGER)),
        "kiosk-1",
        252,
        Fault.UNSIGNED,
    ),
    "rows that nobody speaks of": ("devices", without(1), "kiosk-2", 0, Fault.ARCHIVE),
    "lost without central's word": (
        "lost",
        with_value(0, 6, sign_ack(Ack(device_id="kiosk-2", upto=75, head_hash="0" * 64), STRANGER).decode()),
        "kiosk-2",
        0,
        Fault.ARCHIVE,
    ),
    "not known as lost": ("lost", lambda _: [], "kiosk-2", 61, Fault.MISSING),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_central_itself_would_forge_is_named(copy, name):
    file, change, device_id, sequence, fault = FORGERIES[name]
    rewrite(copy, file, change)
    found = check_archives([copy], [KEY]).bad
    assert (found[0].device_id, found[0].sequence, found[0].fault) == (device_id, sequence, fault)


def test_a_leaf_that_names_another_entry_breaks_the_published_note(copy):
    def change(rows):
        rows[0][5] = rows[0][5].replace('"kiosk-2",60', '"kiosk-2",59')
        return rows

    rewrite(copy, "checkpoints", change)
    with pytest.raises(CheckpointError, match="does not follow"):
        check_archives([copy], [KEY])


def test_a_note_that_an_outsider_kept_is_held_against_the_archived_tree(made):
    summer, winter = made.notes[0], made.notes[1]
    assert check_archives(made.folders[:1], [KEY], note=summer).bad == []
    assert check_archives(made.folders, [KEY], note=winter).bad == []
    with pytest.raises(ArchiveError, match="of another time"):
        check_archives(made.folders[1:], [KEY], note=summer)
    other = sign_note(Checkpoint("renzheng/test", read_note(summer, KEY).size, bytes(32)), KEY)
    with pytest.raises(CheckpointError, match="does not grow out"):
        check_archives(made.folders, [KEY], note=other)
    with pytest.raises(CheckpointError, match="not signed"):
        check_archives(made.folders, [KEY], note=sign_note(read_note(summer, KEY), STRANGER))


def test_a_device_that_was_left_out_is_missed_by_the_next_archive(made, copy):
    for name, at in (("devices", 0), ("entries", 0), ("batches", 0), ("keys", 1), ("lost", 0)):
        rewrite(copy, name, lambda rows, at=at: [row for row in rows if row[at] != "kiosk-2"])
    told = open_archive(copy, [KEY]).manifest
    sign_again(copy, told, devices=1, entries=341, batches=told.batches - 2)
    alone = check_archives([copy], [KEY])
    assert (alone.bad, alone.beyond) == ([], {"kiosk-2": 95})
    (found,) = check_archives([copy, made.folders[1]], [KEY]).bad
    assert (found.device_id, found.sequence, found.fault) == ("kiosk-2", 1, Fault.MISSING)


def test_two_runs_at_once_make_one_archive(database, tmp_path, monkeypatch):
    with database.writing() as connection:
        archived.forget(connection, archived.latest(connection).archive_id)
    keep = writing._keep

    def overtaken(partial, target):
        monkeypatch.setattr(writing, "_keep", keep)
        archive(database, SIGNER, tmp_path / "first", 2026, ZONE, NOW)
        keep(partial, target)

    monkeypatch.setattr(writing, "_keep", overtaken)
    with pytest.raises(ArchiveError, match="Another run has archived 2026"):
        archive(database, SIGNER, tmp_path / "second", 2026, ZONE, NOW)
    assert list((tmp_path / "second").iterdir()) == []
    assert check_archives((tmp_path / "first").iterdir(), [KEY]).bad == []


def test_an_archive_between_two_that_is_missing_and_one_of_another_store_are_named(made, copy):
    sign_again(copy, open_archive(copy, [KEY]).manifest, archive_id="another")
    with pytest.raises(ArchiveError, match="does not go on"):
        check_archives([copy, made.folders[1]], [KEY])


def test_the_key_of_then_leads_to_the_one_that_signs_now_and_notes_of_then_hold(made, database, tmp_path):
    new = keys.generate_key()
    word = sign_central_key(CentralKey(new_key=keys.public_pem(new), since=NOW), KEY)
    signer = Signer(new, FormerKeys({keys.key_id(KEY): KEY}, [word]))
    folder, _ = archive(database, signer, tmp_path, 2026, ZONE, NOW, again=True)
    assert check_archives([made.folders[0], folder], [KEY]).bad == []
    assert check_archives([folder], [new]).bad == []
    with pytest.raises(ArchiveError, match="not signed"):
        check_archives([folder], [STRANGER])


def test_an_open_year_a_year_twice_and_a_log_that_does_not_hold_are_not_archived(database, tmp_path):
    with pytest.raises(ArchiveError, match="not over"):
        archive(database, SIGNER, tmp_path / "out", 2027, ZONE, NOW)
    with pytest.raises(ArchiveError, match="archived already"):
        archive(database, SIGNER, tmp_path / "out", 2026, ZONE, NOW)
    with database.writing() as connection:
        flaw = sa.update(ENTRIES).where(ENTRIES.c.sequence == 350).values(line=b"{")
        connection.execute(flaw)
    with pytest.raises(LogFaultError, match="entry 350, unreadable"):
        archive(database, SIGNER, tmp_path / "out", 2026, ZONE, NOW, again=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_archive_that_was_lost_is_made_anew_and_those_after_it(made, database, tmp_path):
    with database.writing() as connection:
        ids = {row.archive_id for row in archived.rows_of(connection, "kiosk-1")}
    anew = [archive(database, SIGNER, tmp_path / "out", 2025, ZONE, NOW, again=True)[0]]
    anew.append(archive(database, SIGNER, tmp_path / "out", 2026, ZONE, NOW)[0])
    assert check_archives(anew, [KEY]).results == check_archives(made.folders, [KEY]).results
    with pytest.raises(ArchiveError, match="does not know it"):
        prune(database, made.folders[0])
    assert prune(database, anew[0]).entries == 421
    with pytest.raises(ArchiveError, match="2025 cannot be made anew"):
        archive(database, SIGNER, tmp_path / "out", 2025, ZONE, NOW, again=True)
    with database.writing() as connection:
        assert not ids & {row.archive_id for row in archived.rows_of(connection, "kiosk-1")}


def test_nothing_is_archived_while_answers_wait_for_their_round(database, tmp_path):
    with database.writing() as connection:
        empty = {column.name: "" for column in schema.rounds.columns if not column.nullable}
        times = {"committed_at": 1, "known_at": 1, "due_at": 1, "closes_at": 1, "sealed_share": b""}
        row = {**empty, **times, "round_id": "R1", "number": 1, "state": "drawn", "drawn_at": 5}
        connection.execute(sa.insert(schema.rounds).values(row))
    with pytest.raises(ArchiveError, match="round R1"):
        archive(database, SIGNER, tmp_path / "out", 2026, ZONE, NOW, again=True)


def span(first, last, at=0):
    return StoredBatch(first, last, "", b"", b"", at)


def test_an_archive_ends_where_no_batch_goes_over():
    overlapping = [span(1, 30), span(21, 60), span(61, 90), span(81, 120, 7), span(121, 130)]
    assert clean_cut(overlapping, 0, 5, 1000) == 60
    assert clean_cut(overlapping, 0, 9, 1000) == 130
    assert clean_cut(overlapping, 0, 9, 89) == 60
    assert clean_cut([span(31, 40)], 30, 9, 35) == 30
    assert clean_cut([], 30, 9, 35) == 30


def test_nothing_is_pruned_too_early_or_of_what_differs(made, database):
    whole = count(database)
    with pytest.raises(ArchiveError, match=r"entries of 2025 stay"):
        prune(database, made.folders[0], 2024)
    with pytest.raises(ArchiveError, match="must be pruned first"):
        prune(database, made.folders[1], 2026)
    with locks.shared(database, "backup"), pytest.raises(ArchiveError, match="backup is under way"):
        prune(database, made.folders[0])
    statements = {
        "at entry 7, is another": sa.update(ENTRIES).where(ENTRIES.c.sequence == 7).values(flaw="x"),
        "batches of kiosk-1": sa.update(BATCHES).where(BATCHES.c.first_sequence == 1).values(received_at=1),
        "a key of kiosk-1": sa.update(schema.device_keys).values(public_pem=keys.public_pem(STRANGER)),
        "no checkpoint older": sa.update(schema.checkpoint_heads).values(safe_sequence=300),
        "of another store": sa.update(schema.central_identity).values(store_id="another"),
    }
    for match, statement in statements.items():
        with database.engine.connect() as connection, connection.begin() as undone:
            tried = _Within(database, connection)
            connection.execute(statement)
            with pytest.raises(ArchiveError, match=match):
                prune(tried, made.folders[0])
            undone.rollback()
    assert count(database) == whole


class _Within:
    """A database of which everything happens in one transaction."""

    def __init__(self, database, connection):
        self.backend, self.engine, self._connection = database.backend, database.engine, connection

    def reading(self):
        return self

    writing = reading

    def __enter__(self):
        return self._connection

    def __exit__(self, *_):
        return None


def pruned(database, made):
    """Prune after the first archive."""
    return prune(database, made.folders[0])


def test_a_pruned_store_holds_and_so_does_everything_that_reads_it(made, database):
    rows = count(database, schema.attendance)
    assert pruned(database, made) == pruning.Pruned(2025, 2, 341 + 80)
    assert (count(database), count(database, schema.attendance)) == (30 + 20, rows)
    after = [LogVerified("kiosk-1", 371, 341), LogVerified("kiosk-2", 115, 95)]
    assert list(check_store(database, by=[KEY])) == after
    assert list(check_projections(database)) == after
    assert check_checkpoints(database, KEY) == 5
    assert [check_kept_note(database, one, KEY).size for one in made.notes] == [4, 6, 7]
    joined = check_archives(made.folders, [KEY])
    assert pruning.hold_joined(database, joined) == []
    assert prune(database, made.folders[0]).entries == 0
    assert prune(database, made.folders[1], 2026).entries == 40
    assert list(check_store(database, by=[KEY])) == [
        LogVerified("kiosk-1", 371, 361),
        LogVerified("kiosk-2", 115, 115),
    ]
    (one, two) = pruning.hold_joined(database, check_archives(made.folders[:1], [KEY]))
    assert (one.sequence, one.fault, two.sequence) == (342, Fault.MISSING, 96)


def test_devices_go_on_after_a_pruning_and_a_second_history_is_still_told(made, database):
    pruned(database, made)
    writer = LogWriter("kiosk-1")
    writer.entries, writer.key = list(made.one.entries), made.one.key
    again = writer.batch(writer.entries[300:340])
    (answer,) = take(database, writer, [again], NOW)
    assert (answer.upto, answer.problem) == (371, None)
    writer.many(5)
    over = writer.batch(writer.entries[330:376])
    assert take(database, writer, [over], NOW)[0].upto == 371  # it learns where central is
    (answer,) = take(database, writer, [writer.batch(writer.entries[371:])], NOW)
    assert answer.upto == 376
    assert list(check_store(database, "kiosk-1", by=[KEY])) == [LogVerified("kiosk-1", 376, 341)]
    other = LogWriter("kiosk-1")
    other.entries, other.key = writer.entries[:309], writer.key
    other.many(3)
    (answer,) = take(database, other, [other.batch(other.entries[309:])], NOW)
    assert (answer.problem, answer.upto) == ("fork", 376)


def test_rows_drawn_from_archived_entries_are_held_against_the_archives(made, database):
    pruned(database, made)
    prune(database, made.folders[1], 2026)
    archives = check_archives(made.folders, [KEY]).archives
    whole = [LogVerified("kiosk-1", 371), LogVerified("kiosk-2", 115)]
    assert list(check_projections(database, earlier=EntriesOf(archives))) == whole
    assert list(check_projections(database, "kiosk-2", earlier=EntriesOf(archives))) == whole[1:]
    later = list(check_projections(database, earlier=EntriesOf(archives[1:])))
    assert later == [LogVerified("kiosk-1", 371, 341), LogVerified("kiosk-2", 115, 95)]
    rows = schema.attendance
    for change in (sa.update(rows).values(outcome="manual"), sa.delete(rows)):
        with database.writing() as connection:
            connection.execute(change.where(rows.c.sequence == 90, rows.c.device_id == "kiosk-2"))
        (_, passed_over) = check_projections(database)
        assert isinstance(passed_over, LogVerified)
        (_, found) = check_projections(database, earlier=EntriesOf(archives))
        assert (found.sequence, found.fault) == (90, Fault.PROJECTION)


def test_a_device_gets_past_the_end_of_an_archive_by_itself():
    device = sender.begin(330).joined(0).sent(376, 0)
    word = Ack(device_id="kiosk-1", upto=371, head_hash="a" * 64)
    (device, alarm) = device.answered(word, "a" * 64, head=376, base=0, now_ms=1)
    assert alarm is None
    assert device.tick(60_000, 30_000).next_after(376, 60_000) == 371


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_kill_while_pruning_leaves_a_store_that_holds(made, database, monkeypatch, after):
    monkeypatch.setattr(pruning, "_AT_ONCE", 100)
    delete, done = pruning._delete, []

    def killed(*args):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(args)
        return delete(*args)

    monkeypatch.setattr(pruning, "_delete", killed)
    with pytest.raises(KeyboardInterrupt):
        pruned(database, made)
    assert list(check_store(database, by=[KEY])) == [
        LogVerified("kiosk-1", 371, 341),
        LogVerified("kiosk-2", 115),
    ]
    assert all(isinstance(one, LogVerified) for one in check_projections(database))
    assert check_checkpoints(database, KEY) == 5
    monkeypatch.setattr(pruning, "_delete", delete)
    pruned(database, made)
    assert count(database) == 30 + 20
    assert count(database, BATCHES) == 2 + 1


def test_whoever_has_the_stores_password_cannot_call_deleted_entries_archived(made, database):
    with database.writing() as connection:
        connection.execute(sa.delete(ENTRIES).where(ENTRIES.c.sequence <= 341))
        connection.execute(sa.delete(BATCHES).where(BATCHES.c.first_sequence <= 341))
    (first, _) = check_store(database, by=[KEY])
    assert (first.sequence, first.fault) == (1, Fault.MISSING)
    with database.writing() as connection:
        for row in archived.rows_of(connection, "kiosk-1"):
            word = open_word(row.word, [KEY]).model_copy(update={"upto_hash": "0" * 64})
            values = {"word": sign_word(word, STRANGER), "upto_hash": "0" * 64, "pruned_at": 1}
            place = (schema.archived_entries.c.device_id == "kiosk-1") & (
                schema.archived_entries.c.upto_sequence == row.upto_sequence
            )
            connection.execute(sa.update(schema.archived_entries).where(place).values(values))
    (first, _) = check_store(database, by=[KEY])
    assert isinstance(first, BadEntry)
    assert (first.sequence, first.fault) == (1, Fault.ARCHIVE)


def test_a_word_of_another_device_or_place_is_none(made, database):
    pruned(database, made)
    table = schema.archived_entries
    with database.writing() as connection:
        other = archived.rows_of(connection, "kiosk-2")[0].word
        mine = (table.c.device_id == "kiosk-1") & (table.c.upto_sequence == 341)
        connection.execute(sa.update(table).where(mine).values(word=other))
    (first, second) = check_store(database, by=[KEY])
    assert first.fault is Fault.ARCHIVE
    assert second == LogVerified("kiosk-2", 115, 95)


def test_a_store_that_forgot_its_archive_takes_it_back(made, database):
    with database.writing() as connection:
        for row in (archived.latest(connection), archived.of_id(connection, manifest_of(made, 0).archive_id)):
            archived.forget(connection, row.archive_id)
    with pytest.raises(ArchiveError, match="does not know it"):
        prune(database, made.folders[1], 2026)
    assert pruned(database, made).entries == 421
    assert list(check_store(database, by=[KEY])) == [
        LogVerified("kiosk-1", 371, 341),
        LogVerified("kiosk-2", 115, 95),
    ]


def manifest_of(made, number):
    return Manifest.read((made.folders[number] / form.MANIFEST).read_bytes())


@pytest.mark.postgresql
def test_postgresql_is_archived_and_pruned_as_sqlite_is(postgresql_server, tmp_path):
    database = Database(postgresql_server.new_database())
    database.migrate()
    build(database, tmp_path / "notes")
    folder, manifest = archive(database, SIGNER, tmp_path / "out", 2025, ZONE, NOW)
    assert manifest.entries == 421
    elsewhere = Database(database.engine.url.render_as_string(hide_password=False))  # as from another machine
    with (
        locks.shared(elsewhere, "backup"),
        locks.shared(elsewhere, "backup"),
        pytest.raises(ArchiveError, match="backup is under way"),
    ):
        prune(database, folder)
    elsewhere.close()
    assert prune(database, folder) == pruning.Pruned(2025, 2, 421)
    assert list(check_store(database, by=[KEY])) == [
        LogVerified("kiosk-1", 371, 341),
        LogVerified("kiosk-2", 115, 95),
    ]
    assert check_checkpoints(database, KEY) == 5
    assert pruning.hold_joined(database, check_archives([folder], [KEY])) == []
    database.close()


def test_the_manifest_is_text_and_its_signature_a_detached_jws(made):
    header, payload, signature = (made.folders[0] / form.SIGNATURE).read_bytes().split(b".")
    assert payload == b""
    content = (made.folders[0] / form.MANIFEST).read_bytes()
    keys.verify_parts(header, keys.encode(content), signature, KEY, form.KIND)
    assert orjson.loads(content)["until"] == "2026-01-01T00:00:00+08:00"


def test_a_word_about_an_archived_entry_that_was_another_tells_that_the_store_was_set_back(made, database):
    pruned(database, made)
    with database.writing() as connection:
        own = identity.begin_run(connection)
        held = log.Head(371, made.one.entries[-1].hash)
        place = own.place(7)
        told = {"version": 2, "device_id": "kiosk-1", "upto": 120, "at": NOW, "safe_upto": 0}
        hashes = (made.one.entries[119].hash, "0" * 64)
        words = [Ack(**told, head_hash=digest, **place._asdict()) for digest in hashes]
        found = [identity.set_back(connection, own.place(9), word, held) for word in words]
    assert found == [False, True]


def test_a_pruned_store_is_backed_up_tried_out_and_restored(made, database, tmp_path):
    pruned(database, made)
    database.close()
    settings = make_settings({"data_dir": str(tmp_path / "data")})
    write_secret_key(settings.key_file)
    shutil.copyfile(tmp_path / "store" / "c.sqlite", tmp_path / "data" / "central.sqlite")
    taken = backups.take(settings, tmp_path / "none.toml", tmp_path / "backups", None, NOW)
    assert not list(taken.rglob("*backup-lock"))
    tried = backups.try_out(settings, taken, None)
    assert (tried.devices, tried.entries, tried.checkpoints) == (2, 371 + 115, 5)


def older(made, tmp_path, upto):
    """The store as a backup from within the year 2025 had it: `upto` entries of kiosk-1, none of kiosk-2."""
    database = Database(stores.lay(f"sqlite:///{tmp_path / 'older.sqlite'}"))
    database.migrate()
    first = {
        row.device_id: row
        for row in Reader(open_archive(made.folders[0], [KEY]), "keys").all()
        if row.rotated_from is None
    }
    with database.writing() as connection:
        devices.put_institution(connection, devices.Institution("H1", "x", "1"))
        for name, row in first.items():
            device = devices.Device(name, "H1", "s1", Purpose.DIALYSIS)
            devices.register(connection, device, keys.load_public_key(row.public_pem), NOW)
        own = Manifest.read((made.folders[0] / "manifest.json").read_bytes()).store_id
        connection.execute(sa.update(schema.central_identity).values(store_id=own))
    if upto:
        writer = LogWriter("kiosk-1")
        writer.key, writer.entries = made.first_key, made.one.entries
        take(database, writer, [writer.batch(made.one.entries[:upto])], datetime(2025, 3, 1, tzinfo=UTC))
    return database


def all_of(database, table, span):
    query = sa.select(table).order_by(*table.primary_key.columns)
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query) if span(row)]


@pytest.mark.parametrize("held", [0, 100])
def test_a_restore_that_is_older_than_an_archive_takes_back_what_lies_in_it(made, database, tmp_path, held):
    restored = older(made, tmp_path, held)
    with restored.reading() as connection:
        (bad,) = {
            one.fault for one in pruning.hold_joined(restored, check_archives([made.folders[0]], [KEY]))
        }
    assert bad is Fault.MISSING, "nobody is accused"
    taken = returning.take_back(restored, made.folders[0], KEY, [KEY])
    assert (taken.devices, taken.entries) == (2, 341 - held + 95)
    for table in (ENTRIES, schema.attendance, schema.lost_entries):

        def in_it(row):
            return row[1] <= ENDS[row[0]][2025]

        assert all_of(restored, table, in_it) == all_of(database, table, in_it)
    assert [one for one in check_store(restored) if isinstance(one, BadEntry)] == []
    assert returning.take_back(restored, made.folders[0], KEY, [KEY]).entries == 0, "twice is once"
    returning.take_back(restored, made.folders[1], KEY, [KEY])
    assert pruning.hold_joined(restored, check_archives(made.folders, [KEY])) == []
    with restored.reading() as connection:
        assert connection.execute(sa.select(schema.quarantine)).all() == []
        assert connection.execute(sa.select(schema.alarms)).all() == []
    restored.close()


def test_what_cannot_be_taken_back_to_an_end_is_not_begun(made, tmp_path):
    restored = older(made, tmp_path, 100)
    with pytest.raises(ArchiveError, match="come first"):
        returning.take_back(restored, made.folders[1], KEY, [KEY])
    with restored.writing() as connection:
        held, head = log.Head(100, made.one.entries[99].hash), log.Head(200, made.one.entries[199].hash)
        identity.keep_lost(connection, LostEntries("kiosk-1", held, head, "x"), 2, 1)
    with pytest.raises(ArchiveError, match="101 to 200 count as lost already"):
        returning.take_back(restored, made.folders[0], KEY, [KEY])
    restored.close()


def write_secret_key(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(keys.private_pem(KEY))


def test_a_devices_page_says_what_lies_in_archives(made, database, tmp_path):
    pruned(database, made)
    settings = make_settings({"data_dir": str(tmp_path / "data")})
    app = build_app(database, settings, lambda: NOW, Metrics())
    server = WebServer(app, "127.0.0.1", 0)
    server.start()
    try:
        pages = {}
        for language in ("en", "zh"):
            with urllib.request.urlopen(f"{server.url}/devices/kiosk-2?lang={language}") as answer:
                pages[language] = answer.read().decode()
    finally:
        server.stop()
    assert "in the archive of 2025, no longer in the store" in pages["en"]
    assert "in the archive of 2026, and still in the store" in pages["en"]
    assert "已归档，年度 2025；库中已清理" in pages["zh"]


def test_the_commands_archive_verify_without_a_store_and_prune(made, tmp_path, monkeypatch):
    monkeypatch.setattr("renzheng.central.log_command.utc_now", lambda: NOW)
    data = tmp_path / "site" / "data"
    shutil.copytree(made.store, data)
    (data / "c.sqlite").rename(data / "central.sqlite")
    write_secret_key(data / "keys" / "central.pem")
    config, public = tmp_path / "site" / "central.toml", tmp_path / "central.public.pem"
    config.write_text('data_dir = "data"\n', encoding="utf-8")
    public.write_text(keys.public_pem(KEY), encoding="ascii")
    out = tmp_path / "out"
    run("archive", "--config", config, "--year", 2026, "--out", out, "--again")
    both = ["--archive", made.folders[0], "--archive", out / "renzheng-archive-2026"]
    kept = tmp_path / "kept.note"
    kept.write_text(made.notes[0], encoding="utf-8")
    said = run("verify", *both, "--key", public, "--note", kept)
    assert "the kept note holds" in said
    assert "archive of 2026  40 entries of 2 devices" in said
    assert "kiosk-1  20 entries hold, after 341 in archives" in said
    assert "pruned 421 entries of 2 devices" in run("prune", "--config", config, *both[:2])
    said = run("verify", "--config", config, "--thorough", *both)
    assert "kiosk-1  30 entries hold, after 341 in archives" in said
    assert "entries of 2026 stay" in run("prune", "--config", config, *both[2:], status=1)


def run(*arguments, status=0):
    done = CliRunner().invoke(log_command, [str(one) for one in arguments])
    said = done.output + (getattr(done.exception, "what", "") or "")
    assert bool(done.exit_code) == bool(status), said
    return said
