"""A round from its commitment to the published file: who may know what, and when."""

import datetime as dt
import json
import re

import pytest
import sqlalchemy as sa
from parts import second_draw, stores
from parts.devices import LogWriter
from typer.testing import CliRunner

from renzheng.central.command import app as central_app
from renzheng.central.draw.delivery import opening_code, openings_for, sheets_for
from renzheng.central.draw.documents import PublishedRound, read_document
from renzheng.central.draw.frame import DIALYSIS_WARD, Wanted
from renzheng.central.draw.reading import read_rounds
from renzheng.central.draw.rounds import Plan, Rounds, Secret
from renzheng.central.draw.verify_command import app as verify_app
from renzheng.central.draw.verifying import Holds, verify_round
from renzheng.central.errors import DrawError
from renzheng.central.main import make_signing_key
from renzheng.central.settings import make_settings, write_settings
from renzheng.central.store import devices, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Device, Institution
from renzheng.central.store.times import to_us
from renzheng.central.verify import publish
from renzheng.central.verify.checkpoint import CheckpointError
from renzheng.contracts import keys
from renzheng.contracts.events import Purpose, utc_now
from renzheng.contracts.rounds import unseal

NOW = dt.datetime(2026, 3, 2, 1, tzinfo=dt.UTC)
KNOWN = NOW + dt.timedelta(hours=10)
DUE = NOW + dt.timedelta(hours=24)
CLOSES = DUE + dt.timedelta(hours=4)
MINUTE = dt.timedelta(minutes=1)
OFFICERS = (Secret("王", "four words nobody guesses"), Secret("Li", "and four others, also new"))
VALUE = "9f2c41d07be86a35c1f09d4e7720ab3358e6d90142fa7c8b6e15d3047ba9f8c2"
BEDS = 12


def put_stay(connection, institution_id, visit_id, ward, **values):
    row = {"person_id": f"P-{visit_id}", "admitted_at": to_us(NOW - dt.timedelta(days=3)), "surname": "张"}
    row |= {"masked_number": "…7", "bed": "1", "ward": ward, **values}
    connection.execute(schema.stays.insert().values(institution_id=institution_id, visit_id=visit_id, **row))


def furnish(database):
    """Two hospitals with two wards each, somebody long gone home, and a bureau with a tablet."""
    with database.writing() as connection:
        for institution_id in ("H1", "H2", "bureau:371121"):
            devices.put_institution(connection, Institution(institution_id, institution_id, "371121"))
        tablet = Device("tablet-1", "bureau:371121", "0", Purpose.INPATIENT)
        devices.register(connection, tablet, LogWriter("tablet-1").public_key, NOW)
        other = Device("tablet-2", "bureau:371121", "0", Purpose.INPATIENT)
        devices.register(connection, other, LogWriter("tablet-2").public_key, NOW)
        ward = Device("ward-1", "H1", "0", Purpose.INPATIENT)
        devices.register(connection, ward, LogWriter("ward-1").public_key, NOW)
        for institution_id in ("H1", "H2"):
            for ward in ("内科", "W2"):
                for bed in range(BEDS):
                    put_stay(connection, institution_id, f"{institution_id}{ward}{bed}", ward)
        put_stay(connection, "H1", "gone", "内科", discharged_at=to_us(NOW - dt.timedelta(days=1)))


def rounds_over(database, folder):
    furnish(database)
    found = Rounds(database, keys.generate_key(), folder)
    found.database, found.folder = database, folder
    return found


@pytest.fixture
def rounds(tmp_path):
    database = Database(stores.lay(f"sqlite:///{tmp_path / 'central.sqlite'}"))
    database.migrate()
    yield rounds_over(database, tmp_path / "published")
    database.close()


@pytest.fixture
def rounds_on_both(database, tmp_path):
    return rounds_over(database, tmp_path / "published")


def plan(**changes):
    told = {
        "wanted": Wanted(["H1", "H2"], [Purpose.INPATIENT]),
        "assigned": {"H1": "tablet-1", "H2": "tablet-1"},
        "wards": 2,
        "per_ward": 3,
        "public_value": "drand: 主网第 4711000 轮, its randomness in hexadecimal",
        "known_at": KNOWN,
        "due_at": DUE,
        "closes_at": CLOSES,
    }
    return Plan(**{**told, **changes})


def everything_stored(database):
    """Every byte of every table, as one who can read the store sees it."""
    with database.reading() as connection:
        tables = [connection.execute(sa.select(table)).all() for table in schema.metadata.sorted_tables]
    return str(tables)


def checks_of(database):
    with database.reading() as connection:
        query = sa.select(schema.round_checks).order_by(schema.round_checks.c.check_id)
        return [dict(row) for row in connection.execute(query).mappings()]


def test_a_round_from_the_commitment_to_the_published_file(rounds_on_both):
    rounds = rounds_on_both
    database = rounds.database
    made = rounds.commit(plan(), OFFICERS, NOW)
    assert (made.number, made.candidates) == (1, 4 * BEDS)
    kept = json.loads(made.file.read_text())
    assert rounds.seal(made.round_id, VALUE, OFFICERS, KNOWN + MINUTE) in (1, 2)
    with database.reading() as connection:
        sealed = sheets_for(connection, "tablet-1", KNOWN + MINUTE)
        assert openings_for(connection, "tablet-1", DUE - MINUTE, rounds._key) == []
        (opening,) = openings_for(connection, "tablet-1", DUE, rounds._key)
        assert openings_for(connection, "kiosk-9", DUE, rounds._key) == []
        for at, code in ((DUE - MINUTE, None), (DUE, opening.code), (CLOSES, None)):
            assert opening_code(connection, made.round_id, at, rounds._key) == code
    sheets = [unseal(one, opening.code) for one in sealed]
    assert sum(len(sheet.checks) for sheet in sheets) == 6
    assert {one.institution_id for one in sealed} <= {"sheet-1", "sheet-2"}
    assert rounds.settle(DUE - MINUTE) == ()
    assert checks_of(database) == []
    assert rounds.settle(DUE) == []
    checks = checks_of(database)
    assert {one["visit_id"] for one in checks} == {one.visit_id for sheet in sheets for one in sheet.checks}
    assert list(rounds.folder.glob("round-*.json")) == []
    (path,) = rounds.settle(CLOSES)
    document = read_document(path.read_bytes(), PublishedRound)
    found = verify_round(document, kept_sha256=kept["commitment_sha256"], key=rounds._key, public_value=VALUE)
    assert isinstance(found, Holds)
    assert second_draw.holds(path.read_text(), kept["commitment_sha256"])
    assert rounds.settle(CLOSES + MINUTE) == ()
    before = {file.name: file.read_bytes() for file in rounds.folder.iterdir()}
    for name in before:
        (rounds.folder / name).unlink()
    assert {file.name: file.read_bytes() for file in rounds.publish_again()} == before
    assert rounds.publish_again() == []
    assert not re.search('"P-|张', path.read_text())


def test_until_it_is_due_nobody_who_reads_the_store_sees_who_was_drawn(rounds_on_both):
    rounds = rounds_on_both
    made = rounds.commit(plan(), OFFICERS, NOW)
    before = everything_stored(rounds.database)
    rounds.seal(made.round_id, VALUE, OFFICERS, KNOWN + MINUTE)
    after = everything_stored(rounds.database)
    rounds.settle(DUE)
    drawn = {one["visit_id"] for one in checks_of(rounds.database)}
    for number in range(BEDS):
        for visit in (f"H1内科{number}", f"H1W2{number}", f"H2内科{number}", f"H2W2{number}"):
            assert after.count(visit) == before.count(visit), visit in drawn


def test_sealed_sheets_are_of_one_size_whatever_is_in_them(rounds):
    made = rounds.commit(plan(wards=4, per_ward=2), OFFICERS, NOW)
    rounds.seal(made.round_id, VALUE, OFFICERS, KNOWN + MINUTE)
    with rounds.database.reading() as connection:
        sizes = {len(one.sealed) for one in sheets_for(connection, "tablet-1", KNOWN)}
    assert len(sizes) == 1


def test_the_next_commitment_names_the_one_before(rounds):
    first = rounds.commit(plan(), OFFICERS, NOW)
    second = rounds.commit(plan(), OFFICERS, NOW)
    told = json.loads(second.file.read_text())["commitment"]
    assert (told["number"], told["previous"]) == (2, first.sha256)


def test_a_swapped_commitment_breaks_the_checkpoint_that_an_outsider_kept(rounds, tmp_path):
    rounds.commit(plan(), OFFICERS, NOW)
    _, note = publish.take_checkpoint(rounds.database, "test", rounds._key, tmp_path / "notes", NOW)
    kept = note.read_text()
    publish.check_kept_note(rounds.database, kept, rounds._key)
    assert publish.check_checkpoints(rounds.database, rounds._key) == 1
    with rounds.database.writing() as connection:
        connection.execute(sa.update(schema.rounds).values(commitment_sha256="0" * 64))
    with pytest.raises(CheckpointError, match="draw/commitments"):
        publish.check_kept_note(rounds.database, kept, rounds._key)


@pytest.mark.parametrize(
    ("typed", "matching"),
    [
        ((OFFICERS[0], Secret("Li", "not what was typed before")), "not the one of the commitment"),
        ((OFFICERS[1], OFFICERS[0]), "not the one of the commitment"),
        ((OFFICERS[0], OFFICERS[0]), "not the one of the commitment"),
        ((OFFICERS[0], Secret("Li", "short")), "at least 12"),
    ],
)
def test_one_officer_alone_draws_nothing(rounds, typed, matching):
    made = rounds.commit(plan(), OFFICERS, NOW)
    with pytest.raises(DrawError, match=matching):
        rounds.seal(made.round_id, VALUE, typed, KNOWN)


def test_a_round_is_drawn_once_not_before_its_value_nor_after_its_hour(rounds):
    made = rounds.commit(plan(), OFFICERS, NOW)
    with pytest.raises(DrawError, match="cannot be known before"):
        rounds.seal(made.round_id, VALUE, OFFICERS, KNOWN - MINUTE)
    with pytest.raises(DrawError, match="was due"):
        rounds.seal(made.round_id, VALUE, OFFICERS, DUE)
    rounds.seal(made.round_id, VALUE, OFFICERS, KNOWN)
    with pytest.raises(DrawError, match="drawn, not committed"):
        rounds.seal(made.round_id, "5 5 5", OFFICERS, KNOWN)
    with pytest.raises(DrawError, match="no round"):
        rounds.seal("R-none", VALUE, OFFICERS, KNOWN)


def test_more_devices_than_one_hold_the_sheets_only_if_the_frame_says_so(rounds):
    both = {"H1": "tablet-1", "H2": "tablet-2"}
    wanted = Wanted(["H1", "H2"], [Purpose.INPATIENT], devices=2)
    made = rounds.commit(plan(wanted=wanted, assigned=both, wards=4), OFFICERS, NOW)
    single = rounds.commit(plan(), OFFICERS, NOW)
    with rounds.database.writing() as connection:  # whoever writes to the store sends a list elsewhere
        table = schema.rounds
        elsewhere = sa.update(table).where(table.c.round_id == single.round_id)
        connection.execute(elsewhere.values(assigned=json.dumps(both)))
    with pytest.raises(DrawError, match="2 devices, and the round's frame says 1"):
        rounds.seal(single.round_id, VALUE, OFFICERS, KNOWN)
    assert rounds.seal(made.round_id, VALUE, OFFICERS, KNOWN) == 2
    (path,) = rounds.settle(CLOSES)
    published = read_document(path.read_bytes(), PublishedRound)
    assert (published["frame"]["devices"], published["holders"]) == (2, ["tablet-1", "tablet-2"])
    assert isinstance(verify_round(published, kept_sha256=made.sha256), Holds)


def test_a_round_that_nobody_drew_lapses_and_stays_in_the_record(rounds):
    rounds.commit(plan(), OFFICERS, NOW)
    rounds.settle(DUE)
    with rounds.database.reading() as connection:
        (row,) = read_rounds(connection)
    assert row["state"] == "lapsed"


@pytest.mark.parametrize(
    "changes",
    [
        {"known_at": NOW},
        {"known_at": DUE},
        {"due_at": NOW},
        {"closes_at": DUE},
        {"assigned": {"H1": "tablet-1"}},
        {"assigned": {"H1": "tablet-1", "H2": "unheard-of"}},
        {"assigned": {"H1": "tablet-1", "H2": "ward-1"}},
        {"assigned": {"H1": "tablet-1", "H2": "tablet-2"}},
        {"wanted": Wanted(["H1"], [Purpose.DIALYSIS])},
        {"public_value": "short"},
        {"public_value": "whatever suits us: 3 digits"},
        {"public_value": "drand:"},
        {"wards": 0},
    ],
)
def test_a_plan_that_cannot_be_kept_is_refused(rounds, changes):
    with pytest.raises(DrawError):
        rounds.commit(plan(**changes), OFFICERS, NOW)
    assert everything_stored(rounds.database).count("committed") == 0


@pytest.mark.parametrize(
    "typed",
    [
        (OFFICERS[0], Secret("王", "another secret, same name")),
        (OFFICERS[0], Secret("Li", OFFICERS[0].text)),
    ],
)
def test_two_officers_are_two_people(rounds, typed):
    with pytest.raises(DrawError, match="two officers"):
        rounds.commit(plan(), typed, NOW)


def test_who_went_home_since_the_frame_was_frozen_is_not_looked_for(rounds):
    made = rounds.commit(plan(wards=4, per_ward=BEDS), OFFICERS, NOW)
    gone = schema.stays.c.visit_id.in_(["H1内科3", "H2W27"])
    with rounds.database.writing() as connection:
        connection.execute(sa.update(schema.stays).where(gone).values(discharged_at=to_us(KNOWN)))
    rounds.seal(made.round_id, VALUE, OFFICERS, KNOWN + MINUTE)
    rounds.settle(DUE)
    left_out = {one["visit_id"] for one in checks_of(rounds.database) if one["left_out"]}
    assert left_out == {"H1内科3", "H2W27"}
    (path,) = rounds.settle(CLOSES)
    document = read_document(path.read_bytes(), PublishedRound)
    assert len(document["left_out"]) == 2
    assert isinstance(verify_round(document), Holds)


def test_a_running_session_can_be_drawn_and_one_that_ended_cannot(rounds_on_both):
    rounds = rounds_on_both
    database = rounds.database
    with database.writing() as connection:
        events = (
            ("P1", "sign_in", 60, "S1"), ("P2", "sign_in", 90, "S2"), ("P2", "sign_out", 5, "S2"),
            ("P3", "sign_in", 13 * 60, "S3"),
        )  # fmt: skip
        for number, (person, kind, minutes, session) in enumerate(events, start=1):
            at = to_us(NOW - minutes * MINUTE)
            connection.execute(
                schema.attendance.insert().values(
                    device_id="k", sequence=number, event_id=f"E{number}", institution_id="H1",
                    person_id=person, event_type=kind, purpose="dialysis", occurred_at=at, received_at=at,
                    outcome="match", pad="bona_fide", session_id=session, clock_trusted=1,
                )
            )  # fmt: skip
    made = rounds.commit(plan(wanted=Wanted(["H1"], [Purpose.DIALYSIS])), OFFICERS, NOW)
    assert made.candidates == 1
    rounds.seal(made.round_id, VALUE, OFFICERS, KNOWN)
    rounds.settle(DUE)
    (check,) = checks_of(database)
    assert (check["visit_id"], check["purpose"], check["ward"]) == ("S1", "dialysis", DIALYSIS_WARD)
    with database.reading() as connection:
        (opening,) = openings_for(connection, "tablet-1", DUE, rounds._key)
        (sealed,) = sheets_for(connection, "tablet-1", DUE)
    assert unseal(sealed, opening.code).checks[0].purpose is Purpose.DIALYSIS


def test_by_command_with_secrets_at_a_prompt_and_verified_by_an_outsider(tmp_path, caplog):
    config = tmp_path / "central.toml"
    write_settings(make_settings({"data_dir": str(tmp_path / "data")}), config)
    settings = make_settings({"data_dir": str(tmp_path / "data")})
    key = make_signing_key(settings.key_file)
    database = Database(stores.lay(settings.database))
    database.migrate()
    furnish(database)
    now = utc_now()
    soon = now + dt.timedelta(seconds=1)
    local = dt.timezone(dt.timedelta(hours=8))
    run = CliRunner()
    first, second = OFFICERS
    typed = f"{first.text}\n{first.text}\n{second.text}\n{second.text}\n"
    officers = ["--officer", first.name, "--officer", second.name, "--config", str(config)]
    asked = [
        "draw", "commit", *officers, "--public-value", "drand: at its close", "--device", "tablet-1",
        "--known-at", f"{now.astimezone(local) + dt.timedelta(minutes=2):%Y-%m-%dT%H:%M}",
        "--due-at", f"{now.astimezone(local) + dt.timedelta(minutes=5):%Y-%m-%dT%H:%M}",
    ]  # fmt: skip
    done = run.invoke(central_app, asked, input=typed)
    assert done.exit_code == 0, done.output
    assert first.text not in done.output
    round_id = re.search(r"round\s+(\S+)", done.output).group(1)
    early = run.invoke(
        central_app,
        ["draw", "seal", round_id, *officers, "--public-value", "1.00"],
        input=f"{first.text}\n{second.text}\n",
    )
    assert "cannot be known before" in str(early.exception)
    kept = settings.checkpoints_dir / "draw-1.json"
    later = Rounds(database, key, settings.checkpoints_dir)
    later.seal(round_id, VALUE, OFFICERS, soon + 3 * MINUTE)
    (path,) = later.settle(soon + dt.timedelta(hours=9))
    database.close()
    public = tmp_path / "public.pem"
    public.write_text(keys.public_pem(key))
    told = ["verify", str(path), "--kept", str(kept), "--key", str(public)]
    good = run.invoke(verify_app, told)
    assert good.exit_code == 0, good.output
    assert "holds" in good.output
    bad = run.invoke(verify_app, [*told, "--public-value", "2.00"])
    assert isinstance(bad.exception, DrawError)
    assert all(one.text not in caplog.text for one in OFFICERS)
