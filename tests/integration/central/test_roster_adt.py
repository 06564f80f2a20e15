"""ADT over MLLP: what is told becomes stays and leaves, whatever the order; each message has its outcome."""

import contextlib
import datetime as dt
import itertools
import socket
import ssl
import threading

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import stores
from parts.adt import Hospital, message
from parts.edge import eventually

from renzheng.central.adt import framing, stay_journal
from renzheng.central.adt.framing import Broken, Framer, frame
from renzheng.central.adt.listener import AdtListener
from renzheng.central.adt.messages import acknowledge, read_text, surname_of
from renzheng.central.adt.outcomes import Ending, Outcome
from renzheng.central.adt.receiving import Receiver
from renzheng.central.adt.roster import inpatients
from renzheng.central.claims.formats import Format
from renzheng.central.claims.source import Options
from renzheng.central.errors import SettingsError
from renzheng.central.settings import AdtSettings
from renzheng.central.site.authority import Authority
from renzheng.central.site.setup import make_site
from renzheng.central.store import devices, schema
from renzheng.central.store.database import Database
from renzheng.central.store.devices import Institution
from renzheng.central.store.times import from_us, to_us
from renzheng.contracts.errors import UsageError

NOW = dt.datetime(2026, 3, 5, 4, tzinfo=dt.UTC)  # noon in Shanghai
SHANGHAI = dt.timezone(dt.timedelta(hours=8))
A01 = message("A01", "20260302093000", 1, admitted="20260302090000")
A02 = message("A02", "20260303100000", 2, ward="外科", bed="8")
A12 = message("A12", "20260303101000", 3)
A21 = message("A21", "20260305080000", 4, due_back="20260305200000")
A22 = message("A22", "20260305110000", 5)
A52 = message("A52", "20260305090000", 6)
A03 = message("A03", "20260305100000", 7, discharged="20260305100000")
A13 = message("A13", "20260305103000", 8)
A11 = message("A11", "20260302094000", 9)


def at(day, hour, minute=0):
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=SHANGHAI).astimezone(dt.UTC)


class Site:
    """A receiver over a store, with a clock that a test moves."""

    def __init__(self, database):
        self.database = database
        self.now = NOW
        with database.writing() as connection:
            for institution_id in ("H1", "bureau:1"):
                devices.put_institution(connection, Institution(institution_id, "x", "1"))
        self.receiver = Receiver(database, Options(), lambda: self.now)

    def tell(self, *messages):
        """The codes of the acknowledgements."""
        answers = [self.receiver.receive(one.encode()).decode() for one in messages]
        return [answer.split("\r")[1].split("|")[1] for answer in answers]

    def outcomes(self):
        return [row.outcome for row in self.rows("stay_messages")]

    def rows(self, name):
        table = schema.metadata.tables[name]
        with self.database.reading() as connection:
            return connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all()

    def roster(self):
        with self.database.reading() as connection:
            return inpatients(connection, "H1", dt.date(2026, 3, 5), self.now, SHANGHAI).patients


@pytest.fixture
def site(tmp_path):
    database = Database(stores.lay(f"sqlite:///{tmp_path / 'central.sqlite'}"))
    database.migrate()
    yield Site(database)
    database.close()


@pytest.fixture
def site_on_both(database):
    return Site(database)


@pytest.mark.parametrize(
    ("messages", "beds"),
    [
        ([A01], [("内科", "3")]),
        ([A01, A02], [("外科", "8")]),
        ([A01, A02, A12], [("内科", "3")]),
        ([A01, A03], []),
        ([A01, A03, A13], [("内科", "3")]),
        ([A01, A11], []),
    ],
)
def test_messages_become_the_roster_in_whatever_order_they_come(site_on_both, messages, beds):
    site = site_on_both
    for number, order in enumerate(itertools.permutations(messages)):
        of_this = [one.replace("|V1", f"|V1-{number}").replace("|3|", "|3|") for one in order]
        assert site.tell(*of_this) == ["AA"] * len(of_this)
        here = [one for one in site.roster() if one.visit_id == f"V1-{number}"]
        assert [(one.ward, one.bed) for one in here] == beds


def test_a_leave_is_recorded_when_central_hears_of_it_whatever_it_claims(site_on_both):
    site = site_on_both
    site.now = at(5, 9)
    site.tell(A01, A21)
    (patient,) = site.roster()
    (away,) = patient.away
    assert (away.left_at, away.due_back_at, away.returned_at) == (at(5, 8), at(5, 20), None)
    assert away.recorded_at == at(5, 9)
    assert away.covers(at(5, 12))
    site.now = at(5, 11, 30)
    site.tell(A22)
    (away,) = site.roster()[0].away
    assert (away.returned_at, away.recorded_at) == (at(5, 11), at(5, 9))
    assert from_us(site.rows("leaves")[0].said_at) == at(5, 8)


def test_a_cancelled_leave_is_none(site):
    site.tell(A01, A21, A52)
    assert site.roster()[0].away == ()


def test_messages_of_somebody_nobody_admitted_are_kept_until_the_admission_comes(site_on_both):
    site = site_on_both
    assert site.tell(A21, A02) == ["AA", "AA"]
    assert site.outcomes() == [Outcome.NO_ADMISSION, Outcome.NO_ADMISSION]
    assert site.roster() == ()
    site.tell(A01)
    (patient,) = site.roster()
    assert (patient.ward, len(patient.away)) == ("外科", 1)


def test_the_same_message_again_changes_nothing(site):
    site.tell(A01, A21, A21, A01)
    assert site.outcomes()[2:] == [Outcome.REPEATED, Outcome.REPEATED]
    assert len(site.rows("leaves")) == 1


def test_two_on_one_bed_are_both_kept_and_named(site):
    site.tell(A01, message("A01", "20260303093000", 21, visit="V2", person="P2", admitted="20260303090000"))
    assert site.outcomes() == [Outcome.TAKEN, Outcome.BED_TAKEN]
    assert len(site.roster()) == 2


@pytest.mark.parametrize(
    ("told", "outcome", "code"),
    [
        (message("A52", "20260305090000", 31), Outcome.NOTHING_TO_CANCEL, "AA"),
        (message("A22", "20260305090000", 32), Outcome.OUT_OF_SEQUENCE, "AA"),
        (
            message("A03", "20260305090000", 33, discharged="20260201090000"),
            Outcome.END_BEFORE_START,
            "AA",
        ),
        (message("A20", "20260305090000", 34), Outcome.IGNORED, "AA"),
        (message("A01", "20260305090000", 35, **{"class": "O"}), Outcome.IGNORED, "AA"),
        (message("A01", "20260305090000", 36, institution="H9"), Outcome.UNKNOWN_INSTITUTION, "AE"),
        (message("A01", "20260305090000", 36, institution="bureau:1"), Outcome.UNKNOWN_INSTITUTION, "AE"),
        (message("A01", "20260305090000", 37, visit=""), Outcome.REJECTED, "AE"),
        (message("A01", "2026030", 38), Outcome.REJECTED, "AE"),
        (message("A01", "20260305090000", 39, visit="V" * 300), Outcome.REJECTED, "AE"),
        (message("A01", "20260305090000", 40, charset="UNICODE UTF-16"), Outcome.UNREADABLE, "AR"),
        ("PID|1||x\r", Outcome.UNREADABLE, "AR"),
        ("", Outcome.UNREADABLE, "AR"),
        ("MSH", Outcome.UNREADABLE, "AR"),
        ("MSH|^~\\&|" + "x\0y", Outcome.UNREADABLE, "AR"),
    ],
)
def test_each_message_has_its_outcome_and_none_is_lost(site, told, outcome, code):
    site.tell(A01)
    assert site.tell(told) == [code]
    row = site.rows("stay_messages")[-1]
    assert row.outcome == outcome
    if told and not outcome.kept:
        assert bytes(row.payload) == told.encode()
    assert all(one.away == () for one in site.roster())


def test_a_stay_that_ends_before_it_begins_puts_nobody_into_a_bed(site):
    site.tell(A01, message("A03", "20260305090000", 33, discharged="20260201090000"))
    assert site.roster() == ()


def test_a_leave_that_ends_before_it_begins_covers_nothing_and_breaks_nothing(site):
    site.tell(A01, A21, message("A22", "20260305110000", 5, occurred="20260301110000"))
    assert site.outcomes()[-1] == Outcome.END_BEFORE_START
    assert site.roster()[0].away == ()


def test_a_leave_told_after_a_check_was_drawn_is_marked_and_the_ward_does_not_learn_it(site):
    site.tell(A01)
    drawn = NOW - dt.timedelta(hours=1)
    with site.database.writing() as connection:
        texts = ("commitment", "commitment_sha256", "signed", "frame", "people", "salt", "assigned")
        values = dict.fromkeys(texts, "x") | dict.fromkeys(("committed_at", "known_at", "due_at"), 1)
        values |= {"round_id": "R", "number": 1, "state": "open", "closes_at": 2, "sealed_share": b""}
        connection.execute(schema.rounds.insert().values(values))
        connection.execute(
            schema.round_checks.insert().values(
                check_id="R-1", round_id="R", institution_id="H1", ward="内科", visit_id="V1",
                person_id="P0001", purpose="inpatient", drawn_at=to_us(drawn), due_at=to_us(NOW),
                closes_at=to_us(NOW) + 10**10,
            )
        )  # fmt: skip
    ack = site.receiver.receive(A21.encode()).decode()
    assert "MSA|AA|4\r" in ack
    assert site.outcomes()[-1] == Outcome.LEAVE_AFTER_DRAW


def test_what_was_not_taken_is_forgotten_after_thirty_days(site):
    site.tell(message("A01", "20260305090000", 37, visit=""))
    for days, left in ((29, 1), (31, 0)):
        with site.database.writing() as connection:
            stay_journal.forget(connection, site.now + dt.timedelta(days=days))
        assert sum(row.payload is not None for row in site.rows("stay_messages")) == left
    assert site.outcomes() == [Outcome.REJECTED]


def test_names_are_shortened_and_numbers_masked(site):
    site.tell(A01)
    (patient,) = site.roster()
    assert (patient.surname, patient.masked_number) == ("张", "…0001")


@pytest.mark.parametrize(
    ("family", "given", "shown"),
    [
        ("张", "三", "张"),
        ("张三丰", "", "张"),
        ("欧阳锋", "", "欧阳"),
        ("Doe", "Jane", "Doe"),
        ("Jane Doe", "", "Jane"),
        ("", "", ""),
        ("张\x1b[31m", "", "张"),
        ("x" * 99, "y", "x" * 40),
    ],
)
def test_of_a_name_only_the_surname_stays(family, given, shown):
    assert surname_of(family, given) == shown


def test_files_go_the_same_way(site, tmp_path):
    path = tmp_path / "day.hl7"
    path.write_bytes((A01 + A21 + message("A20", "20260305090000", 34)).encode("gb18030"))
    counts = site.receiver.read_file(path, Format.HL7)
    assert counts == {Outcome.TAKEN: 2, Outcome.IGNORED: 1}
    assert site.roster()[0].ward == "内科"
    assert {row.source for row in site.rows("stay_messages")} == {"file"}
    assert site.receiver.read_file(path, Format.HL7) == {Outcome.REPEATED: 2, Outcome.IGNORED: 1}
    with pytest.raises(UsageError, match="tell of no stays"):
        site.receiver.read_file(path, Format.PARQUET)


# --- updates, tracking, swaps and merges (HL7 v2.5.1, chapter 3.3) ---


def merged(trigger, recorded, number, *, person, prior, visit="V1"):
    """A merge message: PID names who stays, MRG who gives way."""
    head, _, rest = message(trigger, recorded, number, person=person, visit=visit).partition("PV1|")
    return f"{head}MRG|{prior}\rPV1|{rest}"


def swapped(recorded, number):
    """An A17 (3.3.17): PID and PV1 of each of two patients, each with the bed that it gets."""
    of_one, of_two = (
        message("A17", recorded, number, visit=visit, person=person, bed=bed, name=name)
        for visit, person, bed, name in (("V1", "P0001", "4", "张^三"), ("V2", "P0002", "3", "李^四"))
    )
    return of_one + of_two[of_two.index("PID|") :]


def test_an_update_moves_the_patient_and_corrects_the_time(site):
    site.tell(A01, message("A08", "20260303100000", 11, ward="外科", bed="8", admitted="20260302083000"))
    (patient,) = site.roster()
    assert (patient.ward, patient.bed, patient.admitted_at) == ("外科", "8", at(2, 8, 30))


def test_an_outpatient_who_is_admitted_is_on_the_roster_until_made_an_outpatient_again(site):
    site.tell(message("A04", "20260302080000", 1, **{"class": "E"}))
    assert site.roster() == ()
    site.tell(message("A06", "20260302120000", 2))
    assert [one.admitted_at for one in site.roster()] == [at(2, 12)]
    site.tell(message("A07", "20260304120000", 3, **{"class": "O"}))
    assert site.roster() == ()


def test_somebody_on_the_way_to_an_examination_is_away_until_arriving_back(site):
    site.now = at(5, 9, 30)
    site.tell(A01, message("A09", "20260305090000", 11))
    (away,) = site.roster()[0].away
    assert (away.kind, away.left_at, away.returned_at) == ("examination", at(5, 9), None)
    site.tell(message("A10", "20260305091000", 12))
    assert site.roster()[0].away[0].returned_at == at(5, 9, 10)
    assert (site.roster()[0].ward, site.roster()[0].bed) == ("内科", "3")


def test_two_patients_exchange_their_beds_and_keep_their_names(site):
    two = message("A01", "20260302093000", 2, visit="V2", person="P0002", bed="4", name="李^四", ward="内科")
    site.tell(A01, two)
    assert site.tell(swapped("20260303100000", 3)) == ["AA"]
    assert site.outcomes()[-1] == Outcome.TAKEN
    assert {one.visit_id: (one.bed, one.surname) for one in site.roster()} == {
        "V1": ("4", "张"),
        "V2": ("3", "李"),
    }


def test_a_stay_follows_the_person_who_remains_whatever_comes_first(site_on_both):
    site = site_on_both
    unknown = message("A01", "20260302093000", 1, person="TEMP1")
    assert site.tell(unknown, merged("A40", "20260303100000", 2, person="P0007", prior="TEMP1")) == [
        "AA",
        "AA",
    ]
    (patient,) = site.roster()
    assert (patient.person_id, patient.masked_number) == ("P0007", "…0007")
    late = message("A01", "20260302093000", 3, person="TEMP1", visit="V2", bed="9")
    site.tell(late)
    assert {one.person_id for one in site.roster()} == {"P0007"}
    assert [(row.person_id, row.alias_of) for row in site.rows("person_aliases")] == [("TEMP1", "P0007")]
    site.tell(merged("A40", "20260303100000", 2, person="P0007", prior="TEMP1"))
    assert site.outcomes()[-1] == Outcome.REPEATED


def test_a_merge_moves_no_stay_of_another_institution(site):
    with site.database.writing() as connection:
        devices.put_institution(connection, Institution("H2", "x", "1"))
    site.tell(message("A01", "20260302093000", 1, institution="H2", person="TEMP1"))
    site.tell(merged("A40", "20260303100000", 2, person="P0007", prior="TEMP1"))
    assert [row.person_id for row in site.rows("stays")] == ["TEMP1"]


def test_a_visit_under_a_new_number_is_one_stay(site_on_both):
    site = site_on_both
    site.tell(A01, merged("A50", "20260303100000", 2, person="P0001", prior="P0001||||V1", visit="V9"))
    assert [one.visit_id for one in site.roster()] == ["V9"]
    site.tell(message("A03", "20260304100000", 3, discharged="20260304100000"))
    assert site.roster() == ()


def test_a_number_used_again_for_other_content_is_another_message(site):
    site.tell(A01, message("A02", "20260303100000", 1, bed="8"))
    assert site.outcomes() == [Outcome.TAKEN, Outcome.TAKEN]
    assert site.roster()[0].bed == "8"


def test_a_visit_admitted_again_after_its_end_is_on_the_roster(site):
    site.tell(A01, message("A03", "20260303100000", 2), message("A01", "20260304090000", 3))
    assert [one.admitted_at for one in site.roster()] == [at(4, 9)]


# --- over the wire ---


def certified(folder, pair):
    """A caller's TLS with a key and certificate of the site in `folder`."""
    (folder / "caller.key").write_bytes(pair.key)
    (folder / "caller.pem").write_bytes(pair.certificate)
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "caller.pem", folder / "caller.key")
    return context


@pytest.fixture(params=["plain", "tls"])
def listener(request, tmp_path):
    database = Database(stores.lay(f"sqlite:///{tmp_path / 'central.sqlite'}"))
    database.migrate()
    site = Site(database)
    told, context = {}, None
    if request.param == "tls":
        make_site(tmp_path / "site", "test", ["127.0.0.1"], dt.datetime.now(dt.UTC))
        folder = tmp_path / "site"
        told = {"certificate_file": folder / "server.pem", "key_file": folder / "server.key"}
        told["client_ca_file"] = folder / "ca.pem"
        told["callers"] = {"adt:his-h1": ("H1",)}
        context = certified(folder, Authority.load(folder).issue_caller("his-h1", dt.datetime.now(dt.UTC)))
    running = AdtListener(AdtSettings(port=0, **told), site.receiver, tmp_path / "site" / "ca.pem")
    running.start()
    running.site, running.context = site, context
    yield running
    running.stop()
    database.close()


def test_over_the_wire_in_pieces_in_both_encodings(listener):
    hospital = Hospital(listener.port, listener.context)
    assert hospital.tell(A01) == ("AA", "1")
    in_gb18030 = message("A02", "20260303100000", 2, ward="肾内科", charset="GB 18030-2000")
    for byte in frame(in_gb18030.encode("gb18030"))[:-1]:
        hospital.stream.sendall(bytes([byte]))
    assert hospital.send(b"\r") == ("AA", "2")
    both = frame(A21.encode()) + frame(A22.encode())
    assert hospital.send(both) == ("AA", "4")
    assert hospital.answer() == ("AA", "5")
    assert listener.site.roster()[0].ward == "肾内科"
    hospital.close()


@pytest.mark.parametrize(
    "content", [b"GET / HTTP/1.1\r\n\r\n", b"\x0bMSH|x\x1cMSH", b"\x0b" + b"x" * 300_000]
)
def test_what_is_no_mllp_is_kept_answered_and_the_connection_ended(listener, content):
    hospital = Hospital(listener.port, listener.context)
    code, _ = hospital.send(content)
    assert code == "AR"
    assert hospital.answer()[0] == "closed"
    (row,) = listener.site.rows("stay_messages")
    assert row.outcome == Outcome.FRAMING
    assert content.startswith(bytes(row.payload))
    hospital.close()


def test_half_a_message_is_kept_too(listener):
    hospital = Hospital(listener.port, listener.context)
    hospital.tell(A01)
    hospital.stream.sendall(b"\x0bMSH|half")
    hospital.close()
    assert eventually(lambda: Outcome.FRAMING in listener.site.outcomes())
    assert listener.site.outcomes() == [Outcome.TAKEN, Outcome.FRAMING]


@pytest.mark.parametrize("listener", ["tls"], indirect=True)
@pytest.mark.parametrize("name", ["kiosk-1", "central", "adt:his-h9"])
def test_a_certificate_that_is_no_callers_admits_nobody(listener, tmp_path, name):
    authority, now = Authority.load(tmp_path / "site"), dt.datetime.now(dt.UTC)
    is_caller = name.startswith("adt:")
    issue = authority.issue_caller if is_caller else authority.issue_client
    pair = issue(name.removeprefix("adt:"), now)
    hospital = Hospital(listener.port, certified(tmp_path / "site", pair))
    assert hospital.tell(A01) == ("AE", "1|foreign_caller its certificate may speak for no institution")
    assert hospital.tell(A03)[0] == "AE"
    assert hospital.send(b"GET / HTTP/1.1\r\n\r\n")[0] == "AR"
    hospital.close()
    assert listener.site.roster() == ()
    assert listener.site.rows("stay_events") == listener.site.rows("stay_messages") == []
    (alarm,) = listener.site.rows("alarms")
    assert (alarm.device_id, alarm.problem, alarm.times) == (name, "foreign_caller", 3)


@pytest.mark.parametrize("listener", ["tls"], indirect=True)
def test_a_caller_speaks_for_its_own_institutions(listener):
    with listener.site.database.writing() as connection:
        devices.put_institution(connection, Institution("H2", "x", "1"))
    hospital = Hospital(listener.port, listener.context)
    theirs = message("A01", "20260302093000", 1, institution="H2", visit="V9", person="P9")
    assert hospital.tell(theirs) == ("AE", "1|foreign_caller it spoke for another's institution")
    merge = message("A40", "20260302093000", 2, institution="H2") + "MRG|P0002\r"
    assert hospital.tell(merge)[0] == "AE"
    assert hospital.tell(A01)[0] == "AA"
    hospital.close()
    assert [row.institution_id for row in listener.site.rows("stays")] == ["H1"]
    assert listener.site.rows("person_aliases") == []
    (alarm,) = listener.site.rows("alarms")
    assert (alarm.device_id, alarm.problem, alarm.times) == ("adt:his-h1", "foreign_caller", 2)


def test_silent_connections_of_one_address_leave_room_for_others(listener, monkeypatch):
    monkeypatch.setattr("renzheng.central.adt.listener.HANDSHAKE_SECONDS", 1.0)
    monkeypatch.setattr("renzheng.central.adt.listener.FIRST_WORD_SECONDS", 1.0)
    held = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(70)]
    try:
        assert eventually(lambda: told(listener) == "AA", within_seconds=60)
    finally:
        for stream in held:
            stream.close()


def told(listener):
    try:
        hospital = Hospital(listener.port, listener.context)
        code, _ = hospital.tell(A01)
        hospital.close()
    except OSError as error:
        return str(error)
    return code


def test_many_hospitals_at_once(listener):
    def deliver(number):
        hospital = Hospital(listener.port, listener.context)
        for index in range(5):
            own = message("A01", "20260302093000", index, visit=f"V{number}-{index}", bed=f"{number}-{index}")
            assert hospital.tell(own)[0] == "AA"
        hospital.close()

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert listener.site.outcomes() == [Outcome.TAKEN] * 40


def greet(port, context):
    """Connect and tell; with TLS 1.3 a refusal shows at the first answer."""
    with contextlib.closing(Hospital(port, context)) as hospital:
        return hospital.tell(A01)


@pytest.mark.parametrize("listener", ["tls"], indirect=True)
def test_a_caller_without_the_sites_certificate_is_not_heard(listener):
    unknown = ssl.create_default_context()
    unknown.check_hostname, unknown.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionError)):
        greet(listener.port, unknown)
    assert listener.site.outcomes() == []


@pytest.mark.parametrize("told", [{"host": "0.0.0.0"}, {"certificate_file": "x"}, {"client_ca_file": "x"}])
def test_settings_that_would_leave_the_door_open_are_refused(told):
    with pytest.raises(ValueError, match=r"needs|together"):
        AdtSettings(port=2575, **told)


def test_a_taken_port_is_named(site):
    first = AdtListener(AdtSettings(port=0), site.receiver)
    first.start()
    with pytest.raises(SettingsError, match="cannot listen"):
        AdtListener(AdtSettings(port=first.port), site.receiver).start()
    first.stop()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40).filter(lambda one: b"\x1c" not in one), max_size=6), st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(messages, data):
    stream = b"".join(frame(one) for one in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    framer, found = Framer(), []
    for start, end in itertools.pairwise([0, *cuts, len(stream)]):
        found += framer.feed(stream[start:end])
    assert found == messages
    assert framer.unfinished == b""


@settings(deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=80).map(lambda rest: b"MSH" + rest))
def test_no_bytes_are_without_an_acknowledgement(payload):
    text = read_text(payload)
    header, ending = text if isinstance(text, tuple) else (text.header, Ending(Outcome.TAKEN))
    segments = acknowledge(header, ending, "1", NOW).decode("ascii").split("\r")
    assert segments[1].split(header.separators[0])[:2] == ["MSA", ending.outcome.code]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_no_stream_of_bytes_breaks_the_framer(parts):
    framer = Framer()
    found = [one for part in parts for one in framer.feed(part)]
    assert all(isinstance(one, bytes | Broken) for one in found)
    assert sum(isinstance(one, Broken) for one in found) <= 1
    assert len(framer.unfinished) <= framing.MOST_BYTES


def test_a_discharge_is_told_when_the_word_that_holds_came_whatever_time_it_names(site):
    """An update that moves the end back after a draw is no word that came before it."""
    site.now = at(4, 9)
    site.tell(A01, message("A03", "20260304090000", 2, discharged="20260309090000"))
    site.now = at(7, 9)
    site.tell(message("A08", "20260304100000", 3, discharged="20260304090000"))
    (stay,) = site.rows("stays")
    assert from_us(stay.discharged_at) == at(4, 9)
    assert from_us(stay.discharge_recorded_at) == at(7, 9)
    site.now = at(8, 9)
    site.tell(message("A08", "20260308090000", 4, discharged="20260304090000"))
    assert from_us(site.rows("stays")[0].discharge_recorded_at) == at(7, 9)
