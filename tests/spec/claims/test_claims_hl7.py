"""HL7 v2 ADT to stays and leaves: each message kind, cancellations, order of arrival, broken messages."""

import csv
import itertools
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.importer import Format, import_claims
from renzheng.central.claims.source import Options


def message(
    trigger,
    recorded,
    *,
    number,
    bed="B1",
    ward="W1",
    extra=(),
    occurred="",
    institution="H1",
    visit="V1",
    person="P1",
    kind="ADT",
    admitted="",
    discharged="",
    evn="",
):
    pv1 = ["PV1", "1", "I", f"{ward}^R1^{bed}", *[""] * 3, "D7", "", "", "内科", *[""] * 8, visit]
    pv1 += [""] * (44 - len(pv1)) + [admitted, discharged]
    return "\r".join(
        [
            f"MSH|^~\\&|HIS|{institution}|BUREAU|R|{recorded}||{kind}^{trigger}|{number}|P|2.4",
            f"EVN|{trigger}|{recorded}||{evn}||{occurred}",
            f"PID|1||{person}^^^NHSA^NI~X9^^^HIS^PI||张^三",
            "|".join(pv1).rstrip("|"),
            *extra,
        ]
    ) + "\r"  # fmt: skip


A01 = message("A01", "20260302093000", number=1, admitted="20260302090000")
A02 = message("A02", "20260303100000", number=2, bed="B2", ward="W2")
A12 = message("A12", "20260303101000", number=3)
A21 = message(
    "A21", "20260304080000", number=4, occurred="20260304083000", extra=["PV2" + "|" * 47 + "20260304180000"]
)
A22 = message("A22", "20260304173000", number=5, occurred="20260304170000")
A52 = message("A52", "20260304090000", number=6)
A03 = message("A03", "20260306150000", number=7, discharged="20260306143000", bed="B2", ward="W2")
A13 = message("A13", "20260306160000", number=8)
A11 = message("A11", "20260302094000", number=9)


def at(day, hour, minute=0):
    return datetime(2026, 3, day, hour - 8, minute, tzinfo=UTC)


def _import(tmp_path, *messages, name="a.hl7", codec="utf-8", mapping=None, **options):
    path = tmp_path / name
    path.write_bytes("".join(messages).encode(codec))
    if mapping is not None:
        (tmp_path / "m.toml").write_text(mapping, encoding="utf-8")
        options["mapping"] = tmp_path / "m.toml"
    return import_claims(path, tmp_path / "out", file_format=Format.HL7, options=Options(**options))


def _table(tmp_path, name):
    path = tmp_path / "out" / f"{name}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else []


def _list(tmp_path, folder, table="stays"):
    path = tmp_path / "out" / folder / f"{table}.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [(int(row["line"]), row["field"], row["reason"]) for row in csv.DictReader(stream)]


def _stay(tmp_path):
    """The one stay as (admitted, discharged, ward, bed)."""
    (row,) = _table(tmp_path, "stays")
    return row["admitted_at"], row["discharged_at"], row["ward"], row["bed"]


@pytest.mark.parametrize(
    ("messages", "stay"),
    [
        ([A01], (at(2, 9), None, "W1", "B1")),
        ([A01, A02], (at(2, 9), None, "W2", "B2")),
        ([A01, A02, A12], (at(2, 9), None, "W1", "B1")),
        ([A01, A02, A03], (at(2, 9), at(6, 14, 30), "W2", "B2")),
        ([A01, A02, A03, A13], (at(2, 9), None, "W2", "B2")),
    ],
)
def test_messages_become_a_stay_with_its_current_bed(tmp_path, messages, stay):
    _import(tmp_path, *messages)
    assert _stay(tmp_path) == stay


def test_a_stay_has_institution_visit_person_and_department(tmp_path):
    _import(tmp_path, A01)
    (row,) = _table(tmp_path, "stays")
    assert (row["institution_id"], row["visit_id"], row["person_id"], row["department"]) == (
        "H1",
        "V1",
        "P1",
        "内科",
    )


def test_a_cancelled_admission_leaves_no_stay(tmp_path):
    _import(tmp_path, A01, message("A01", "20260302093000", number=11, visit="V2"), A11)
    assert [row["visit_id"] for row in _table(tmp_path, "stays")] == ["V2"]


def test_leave_and_return_become_a_leave(tmp_path):
    _import(tmp_path, A01, A21, A22)
    (row,) = _table(tmp_path, "leaves")
    assert (row["kind"], row["left_at"], row["due_back_at"], row["returned_at"]) == (
        "leave",
        at(4, 8, 30),
        at(4, 18),
        at(4, 17),
    )
    assert (row["recorded_at"], row["approved_by"], row["visit_id"]) == (at(4, 8), "D7", "V1")


def test_a_cancelled_leave_is_none(tmp_path):
    _import(tmp_path, A01, A21, A52)
    assert _table(tmp_path, "leaves") == []


def test_a_leave_that_is_still_open_has_no_return(tmp_path):
    _import(tmp_path, A01, A21)
    assert _table(tmp_path, "leaves")[0]["returned_at"] is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3], ids=str)
def test_the_order_of_arrival_does_not_matter(tmp_path, order):
    _import(tmp_path, *((A01, A02, A21, A22)[n] for n in order), A03)
    assert _stay(tmp_path) == (at(2, 9), at(6, 14, 30), "W2", "B2")
    assert _table(tmp_path, "leaves")[0]["returned_at"] == at(4, 17)
    assert _list(tmp_path, "rejected") == _list(tmp_path, "warnings") == []


def test_messages_may_come_in_several_imports(tmp_path):
    _import(tmp_path, A21, A02, name="second.hl7")
    assert _table(tmp_path, "stays") == []
    _import(tmp_path, A01, name="first.hl7")
    assert _stay(tmp_path) == (at(2, 9), None, "W2", "B2")
    summary = _import(tmp_path, A03, A22, name="third.hl7")
    assert _stay(tmp_path) == (at(2, 9), at(6, 14, 30), "W2", "B2")
    assert len(_table(tmp_path, "leaves")) == 1
    again = _import(tmp_path, A03, A22, name="third.hl7")
    assert (again.tables["stays"].added, again.tables["stays"].unchanged) == (0, 1)
    assert summary.tables["stay_events"].read == 2


def test_a_message_sent_twice_counts_once(tmp_path):
    _import(tmp_path, A01, A02, A02, A12)
    assert _stay(tmp_path)[3] == "B1"


def test_a_discharge_alone_tells_of_its_admission(tmp_path):
    _import(tmp_path, message("A03", "20260306150000", number=1, admitted="20260302090000"))
    assert _stay(tmp_path)[:2] == (at(2, 9), at(6, 15))


@pytest.mark.parametrize(
    ("messages", "folder", "reason"),
    [
        ([A03], "rejected", "no_admission"),
        ([A01, A12], "warnings", "nothing_to_cancel"),
        ([A01, A13], "warnings", "nothing_to_cancel"),
        ([A01, A52], "warnings", "nothing_to_cancel"),
        ([A01, A22], "warnings", "out_of_sequence"),
        ([A01, message("A01", "20260305093000", number=12)], "warnings", "out_of_sequence"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, messages, folder, reason):
    other = message("A01", "20260302093000", number=99, visit="V9")
    _import(tmp_path, other, *messages)
    assert [found[2] for found in _list(tmp_path, folder)] == [reason]
    assert "V9" in {row["visit_id"] for row in _table(tmp_path, "stays")}


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (A01.replace("20260302093000", "2026XX02"), "EVN-2", "bad_time"),
        (message("A01", "20260302093000", number=2, visit=""), "PV1-19.1", "missing"),
        (message("A01", "20260302093000", number=2, person=""), "PID-3.1", "missing"),
        (message("A01", "20260302093000", number=2, institution=""), "MSH-4.1", "missing"),
        ("MSH\r", "MSH", "not_parsable"),
        ("PID|1||P1\r", "", "not_parsable"),
        (A01.replace("内科", "内\0科"), "", "nul_byte"),
    ],
)
def test_a_broken_message_is_listed_and_its_neighbours_go_in(tmp_path, bad, field, reason):
    good = [message("A01", "20260302093000", number=n, visit=f"V{n}") for n in (50, 51)]
    bad_first = bad.startswith("PID")
    _import(tmp_path, *([bad, *good] if bad_first else [good[0], bad, good[1]]))
    assert _list(tmp_path, "rejected") == [(1 if bad_first else 5, field, reason)]
    assert [row["visit_id"] for row in _table(tmp_path, "stays")] == ["V50", "V51"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: text,
        lambda text: text.replace("\r", "\n"),
        lambda text: text.replace("\r", "\r\n"),
        lambda text: "\x0b" + text + "\x1c\r",
        lambda text: "FHS|^~\\&\rBHS|^~\\&\r" + text + "BTS|1\rFTS|1\r",
        lambda text: "\ufeff" + text,
    ],
    ids=["cr", "lf", "crlf", "mllp", "batch", "bom"],
)
@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_line_ends_framing_and_encodings(tmp_path, wrap, codec):
    text = wrap(A01)
    if text.startswith("\ufeff") and codec == "gb18030":
        text = text[1:]
    _import(tmp_path, text, codec=codec)
    assert _table(tmp_path, "stays")[0]["department"] == "内科"


def test_other_messages_are_counted_and_not_used(tmp_path):
    outpatient = message("A01", "20260302093000", number=3, visit="V3").replace("PV1|1|I|", "PV1|1|O|")
    summary = _import(
        tmp_path,
        A01,
        message("A20", "20260302093000", number=2),
        message("R01", "20260302", number=4, kind="ORU"),
        outpatient,
    )
    assert summary.ignored == {"ADT^A01 of class O": 1, "ADT^A20": 1, "ORU^R01": 1}
    assert len(_table(tmp_path, "stays")) == 1


def test_a_mapping_file_names_the_bureaus_ids(tmp_path):
    mapping = """
        [hl7]
        visit_id = "PV1-50.1"
        person_id_type = "PI"
        [hl7.institutions]
        H1 = "H37112100001"
        [hl7.leave_kinds]
        EXAM = "examination"
    """
    with_alternate = [
        text.rstrip("\r").split("\r")
        for text in (A01, A21.replace("EVN|A21|20260304080000||", "EVN|A21|20260304080000||EXAM"))
    ]
    for segments in with_alternate:
        segments[3] += "|" * (50 - segments[3].count("|")) + "MD1"
    _import(tmp_path, *("\r".join(segments) + "\r" for segments in with_alternate), mapping=mapping)
    (stay,) = _table(tmp_path, "stays")
    assert (stay["visit_id"], stay["person_id"], stay["institution_id"]) == ("MD1", "X9", "H37112100001")
    assert _table(tmp_path, "leaves")[0]["kind"] == "examination"


# --- what the world sends beyond A01 to A03 (HL7 v2.5.1 and v2.8, chapter 3.3 unless named) ---


def merged(trigger, recorded, number, *, person="P1", prior="", visit="V1", **told):
    """A merge message (3.3.40): PID names who stays, MRG (3.4.9) who gives way; PV1 is optional."""
    head, _, pv1 = message(trigger, recorded, number=number, person=person, visit=visit, **told).partition(
        "PV1|"
    )
    return f"{head}MRG|{prior}\r" + (f"PV1|{pv1}" if visit else "")


def of_class(text, patient_class):
    return text.replace("PV1|1|I|", f"PV1|1|{patient_class}|")


def _persons(tmp_path):
    return [row["person_id"] for row in _table(tmp_path, "stays")]


def test_an_outpatient_made_an_inpatient_is_admitted_then(tmp_path):
    """3.3.6: from not admitted to admitted; PV1-44 may still be the registration's (3.4.3.44)."""
    registered = of_class(message("A04", "20260301220000", number=1, admitted="20260301220000"), "E")
    _import(tmp_path, registered, message("A06", "20260302010000", number=2, admitted="20260301220000"))
    assert _stay(tmp_path)[0] == at(2, 9).replace(day=1, hour=17)


@pytest.mark.parametrize("patient_class", ["O", "I", "E", ""])
def test_an_a06_admits_and_an_a07_ends_whatever_class_they_name(tmp_path, patient_class):
    a06 = of_class(message("A06", "20260302120000", number=1), patient_class)
    a07 = of_class(message("A07", "20260304120000", number=2), patient_class)
    _import(tmp_path, a06, a07)
    assert _stay(tmp_path)[:2] == (at(2, 12), at(4, 12))


def test_an_inpatient_made_an_outpatient_and_again_an_inpatient_has_two_stretches(tmp_path):
    changes = [("A06", "20260302120000"), ("A07", "20260304120000"), ("A06", "20260305120000")]
    _import(tmp_path, *(message(one, when, number=n) for n, (one, when) in enumerate(changes)))
    stretches = [(row["admitted_at"], row["discharged_at"]) for row in _table(tmp_path, "stays")]
    assert sorted(stretches, key=str) == [(at(2, 12), at(4, 12)), (at(5, 12), None)]
    _import(tmp_path, message("A11", "20260305130000", number=9), name="b.hl7")
    assert _stay(tmp_path)[:2] == (at(2, 12), at(4, 12))


@pytest.mark.parametrize("admitting", ["A02", "A08", "A01"])
def test_an_emergency_patient_is_admitted_by_the_first_message_of_an_inpatient(tmp_path, admitting):
    emergency = of_class(message("A01", "20260301200000", number=1), "E")
    _import(tmp_path, emergency)
    assert _table(tmp_path, "stays") == []
    assert _list(tmp_path, "rejected") == []
    _import(tmp_path, message(admitting, "20260302100000", number=2, bed="B7"), name="b.hl7")
    assert _stay(tmp_path) == (at(2, 10), None, "W1", "B7")


def test_an_emergency_patient_who_goes_home_is_no_stay(tmp_path):
    home = of_class(message("A03", "20260301230000", number=2), "E")
    _import(tmp_path, A01, of_class(message("A01", "20260301200000", number=1, visit="V7"), "E"), home)
    assert len(_table(tmp_path, "stays")) == 1


def test_an_update_has_the_current_bed_and_corrected_times(tmp_path):
    """3.3.8; an update is no move: a cancelled transfer (3.3.12) leads back to the place that it names."""
    a08 = message("A08", "20260303090000", number=11, bed="B5", ward="W5", admitted="20260302083000")
    late = message("A08", "20260306160000", number=12, bed="B5", ward="W5", discharged="20260306120000")
    _import(tmp_path, A01, a08, A03, late)
    assert _stay(tmp_path) == (at(2, 8, 30), at(6, 12), "W5", "B5")


def test_a_cancelled_transfer_leads_to_the_place_that_the_cancellation_names(tmp_path):
    a12 = message("A12", "20260303110000", number=12, bed="B9", ward="W9")
    _import(tmp_path, A01, A02, a12)
    assert _stay(tmp_path)[2:] == ("W9", "B9")


def test_a_transfer_told_twice_under_two_control_ids_is_undone_by_one_cancellation(tmp_path):
    again = message("A02", "20260303100100", number=22, bed="B2", ward="W2")
    a12 = message("A12", "20260303110000", number=23).replace("|W1^R1^B1|", "||")
    _import(tmp_path, A01, A02, again, a12)
    assert _stay(tmp_path)[2:] == ("W1", "B1")


def test_an_update_alone_tells_of_no_admission(tmp_path):
    _import(
        tmp_path,
        message("A01", "20260302093000", number=1, visit="V2"),
        message("A08", "20260303090000", number=2),
    )
    assert [one[2] for one in _list(tmp_path, "rejected")] == ["no_admission"]


def test_the_way_to_an_examination_and_back_is_one_leave(tmp_path):
    """3.3.9, 3.3.10: PV1-11 names a temporary place; in the end the patient arrives at the assigned one."""
    tracked = [("A09", "0800", "XRAY"), ("A10", "0810", "XRAY"), ("A09", "0900", ""), ("A10", "0915", "")]
    ways = [
        message(one, f"20260304{when}00", number=n).replace("|内科||", f"|内科|{place}|", 1)
        for n, (one, when, place) in enumerate(tracked, 30)
    ]
    _import(tmp_path, A01, *ways)
    (leave,) = _table(tmp_path, "leaves")
    assert (leave["kind"], leave["left_at"], leave["returned_at"]) == ("examination", at(4, 8), at(4, 9, 15))
    assert _stay(tmp_path)[2:] == ("W1", "B1")
    assert _list(tmp_path, "warnings") == []


@pytest.mark.parametrize(
    ("after", "returned"),
    [
        ([], None),
        ([message("A02", "20260304100000", number=41, bed="B3")], at(4, 10)),
        ([message("A03", "20260304110000", number=42)], at(4, 11)),
        ([message("A10", "20260304090000", number=43), message("A32", "20260304091000", number=44)], None),
    ],
    ids=["nothing", "a transfer", "a discharge", "a cancelled arrival (A32)"],
)
def test_a_departure_without_arrival_lasts_until_the_next_official_place(tmp_path, after, returned):
    _import(tmp_path, A01, message("A09", "20260304080000", number=40), *after)
    (leave,) = _table(tmp_path, "leaves")
    assert (leave["kind"], leave["returned_at"]) == ("examination", returned)
    assert _list(tmp_path, "warnings") == []


def test_an_arrival_alone_and_a_cancelled_departure_are_no_leave(tmp_path):
    arrival = message("A10", "20260304070000", number=40)
    cancelled = message("A33", "20260304081000", number=42)
    _import(tmp_path, A01, arrival, message("A09", "20260304080000", number=41), cancelled)
    assert _table(tmp_path, "leaves") == []
    assert _list(tmp_path, "warnings") == _list(tmp_path, "rejected") == []


def test_a_cancelled_return_opens_the_leave_again(tmp_path):
    """3.3.53: A53 takes back an A22."""
    _import(tmp_path, A01, A21, A22, message("A53", "20260304180000", number=50))
    assert _table(tmp_path, "leaves")[0]["returned_at"] is None


def test_two_patients_exchange_beds(tmp_path):
    """3.3.17: PID and PV1 of each of the two, each with its new place."""
    two = message("A01", "20260302093000", number=51, visit="V2", person="P2", bed="B2")
    one = message("A17", "20260304080000", number=52, bed="B2")
    other = message("A17", "20260304080000", number=52, bed="B1", visit="V2", person="P2")
    _import(tmp_path, A01, two, one + other[other.index("PID|") :])
    assert {row["visit_id"]: row["bed"] for row in _table(tmp_path, "stays")} == {"V1": "B2", "V2": "B1"}


@pytest.mark.parametrize("trigger", ["A18", "A30", "A34", "A36", "A40", "A47"])
def test_a_merge_is_an_alias_and_the_stay_is_that_of_the_person_who_remains(tmp_path, trigger):
    prior = "TEMP1^^^NHSA^NI"
    merge = merged(trigger, "20260304080000", 60, person="P2", prior=prior, visit="")
    _import(tmp_path, message("A01", "20260302093000", number=1, person="TEMP1"), merge)
    assert _persons(tmp_path) == ["P2"]
    assert _table(tmp_path, "person_aliases") == [{"person_id": "TEMP1", "alias_of": "P2", "since": at(4, 8)}]
    assert _list(tmp_path, "rejected") == []


def test_a_merge_reaches_stays_of_earlier_and_later_imports_and_may_come_twice(tmp_path):
    merge = merged("A40", "20260304080000", 60, person="P2", prior="TEMP1", visit="")
    _import(tmp_path, message("A01", "20260302093000", number=1, person="TEMP1"), name="1.hl7")
    assert _persons(tmp_path) == ["TEMP1"]
    _import(tmp_path, merge, merge, name="2.hl7")
    assert _persons(tmp_path) == ["P2"]
    _import(tmp_path, message("A02", "20260305093000", number=3, person="TEMP1", bed="B8"), name="3.hl7")
    assert (_persons(tmp_path), _stay(tmp_path)[3]) == (["P2"], "B8")
    again = merged("A40", "20260306080000", 61, person="P3", prior="P2", visit="")
    _import(tmp_path, again, name="4.hl7")
    assert _persons(tmp_path) == ["P3"]
    assert len(_table(tmp_path, "person_aliases")) == 2


def test_several_merges_in_one_message(tmp_path):
    """3.3.40: PID, MRG and PV1 repeat."""
    one, two = (
        merged("A40", "20260304080000", 60, person=f"P{n}", prior=f"TEMP{n}", visit="") for n in (1, 2)
    )
    _import(tmp_path, A01, one + two[two.index("PID|") :])
    found = {row["person_id"]: row["alias_of"] for row in _table(tmp_path, "person_aliases")}
    assert found == {"TEMP1": "P1", "TEMP2": "P2"}


def test_merges_that_lead_in_a_circle_rename_nobody(tmp_path):
    back = merged("A40", "20260305080000", 61, person="TEMP1", prior="P2", visit="")
    merge = merged("A40", "20260304080000", 60, person="P2", prior="TEMP1", visit="")
    _import(tmp_path, message("A01", "20260302093000", number=1, person="TEMP1"), merge, back)
    assert _persons(tmp_path) == ["TEMP1"]
    assert len(_table(tmp_path, "person_aliases")) == 2


def test_a_merge_without_the_prior_number_is_listed(tmp_path):
    _import(tmp_path, A01, merged("A40", "20260304080000", 60, person="P2", visit=""))
    assert [one[1:] for one in _list(tmp_path, "rejected", "person_aliases")] == [("MRG-1", "missing")]


@pytest.mark.parametrize("trigger", ["A44", "A45"])
def test_a_visit_filed_under_another_person_moves_alone(tmp_path, trigger):
    """3.3.44, 3.3.45: the two are different people, so they are no aliases, and other visits stay."""
    other = message("A01", "20260201093000", number=2, visit="V0", person="P1")
    moved = merged(trigger, "20260304080000", 60, person="P2", prior="P1||||V1", visit="V1")
    _import(tmp_path, A01, other, moved)
    assert {row["visit_id"]: row["person_id"] for row in _table(tmp_path, "stays")} == {
        "V1": "P2",
        "V0": "P1",
    }
    assert _table(tmp_path, "person_aliases") == []


@pytest.mark.parametrize("trigger", ["A42", "A45", "A50"])
def test_a_visit_under_a_new_number_is_one_stay(tmp_path, trigger):
    """3.3.42, 3.3.45, 3.3.50: MRG-5 gives way to PV1-19; messages under either number are of one visit."""
    renamed = merged(trigger, "20260304080000", 60, prior="P1||||V1", visit="V9")
    _import(tmp_path, A01, A21, name="1.hl7")
    _import(tmp_path, renamed, name="2.hl7")
    _import(tmp_path, A22, message("A03", "20260306150000", number=7, visit="V9"), name="3.hl7")
    (stay,) = _table(tmp_path, "stays")
    assert (stay["visit_id"], stay["admitted_at"], stay["discharged_at"]) == ("V9", at(2, 9), at(6, 15))
    (leave,) = _table(tmp_path, "leaves")
    assert (leave["visit_id"], leave["returned_at"]) == ("V9", at(4, 17))


def test_a_merge_of_accounts_is_one_of_visits_where_the_account_is_the_visit(tmp_path):
    """3.3.41: MRG-3 gives way to PID-18."""

    def of_account(text, account):
        return text.replace("||张^三", f"||张^三{'|' * 13}{account}")

    mapping = '[hl7]\nvisit_id = "PID-18.1"\n'
    merge = merged("A41", "20260304080000", 60, prior="P1||ACC1", visit="")
    _import(tmp_path, of_account(A01, "ACC1"), of_account(merge, "ACC2"), mapping=mapping)
    assert [row["visit_id"] for row in _table(tmp_path, "stays")] == ["ACC2"]
    assert _table(tmp_path, "person_aliases") == []


def test_a_control_id_used_again_for_other_content_is_another_message(tmp_path):
    """2.15.9.10: MSH-10 identifies a message; systems that start over use it again."""
    moved = message("A02", "20260303100000", number=1, bed="B2", ward="W2")
    _import(tmp_path, A01, moved, A01)
    assert _stay(tmp_path)[2:] == ("W2", "B2")
    assert [one[2] for one in _list(tmp_path, "rejected")] == ["duplicate"]


def test_persons_have_the_latest_word_of_all_messages(tmp_path):
    """PID-7, PID-8, PID-29, PID-30 (3.4.2); A31 (3.3.31) tells of a person alone."""
    plain = A01.replace("||张^三", "||张^三||1950|M")
    a31 = message("A31", "20260303100000", number=70).replace(
        "||张^三", "||张^三||19500506|F" + "|" * 21 + "20260303200000+0000|Y"
    )
    _import(tmp_path, a31, plain)
    (person,) = _table(tmp_path, "persons")
    assert (person["sex"], str(person["birth_date"]), str(person["death_date"])) == (
        "F",
        "1950-05-06",
        "2026-03-04",
    )


@pytest.mark.parametrize(
    ("death", "day"),
    [
        ("2026030320|Y", "2026-03-03"),
        ("202603|Y", "None"),
        ("|Y", "None"),
        ("|N", "None"),
        ("20260303|", "2026-03-03"),
    ],
)
def test_a_death_without_its_day_is_not_guessed(tmp_path, death, day):
    _import(tmp_path, A01.replace("||张^三", "||张^三||19500506|F" + "|" * 21 + death))
    assert str(_table(tmp_path, "persons")[0]["death_date"]) == day
    warned = tmp_path / "out" / "warnings" / "persons.csv"
    assert ("death_not_dated" in warned.read_text("utf-8") if warned.exists() else False) == (
        day == "None" and "Y" in death
    )


def test_each_message_is_in_its_own_character_set(tmp_path):
    """MSH-18 (2.15.9.18), table 0211."""

    def declared(text, charset, codec):
        text = text.replace("张", "田").replace("内科", "外科")  # in all of these sets
        return text.replace("|P|2.4", f"|P|2.4||||||{charset}").encode(codec)

    content = [
        declared(message("A01", "20260302093000", number=n, visit=f"V{n}"), *charset)
        for n, charset in enumerate(
            [
                ("UNICODE UTF-8", "utf-8"),
                ("GB 18030-2000", "gb18030"),
                ("GBK", "gb18030"),
                ("ASCII~GB 18030-2000", "gb18030"),
                ("ISO IR87", "iso2022_jp"),
                ("BIG-5", "big5"),
            ]
        )
    ]
    path = tmp_path / "a.hl7"
    path.write_bytes(b"".join(content))
    import_claims(path, tmp_path / "out", file_format=Format.HL7, options=Options())
    assert {row["department"] for row in _table(tmp_path, "stays")} == {"外科"}
    assert len(_table(tmp_path, "stays")) == len(content)


@pytest.mark.parametrize(
    ("charset", "reason"),
    [("UNICODE UTF-16", "unknown_charset"), ("UNICODE UTF-8", "undecodable"), ("8859/1", None)],
)
def test_a_character_set_that_is_not_read_or_not_kept_to_refuses_that_message_alone(
    tmp_path, charset, reason
):
    bad = A01.replace("|P|2.4", f"|P|2.4||||||{charset}").encode("gb18030")
    good = message("A01", "20260302093000", number=2, visit="V2").encode("gb18030")
    (tmp_path / "a.hl7").write_bytes(good + bad)
    import_claims(tmp_path / "a.hl7", tmp_path / "out", file_format=Format.HL7, options=Options())
    assert [one[2] for one in _list(tmp_path, "rejected")] == ([reason] if reason else [])
    assert len(_table(tmp_path, "stays")) == (1 if reason else 2)


def test_delimiters_are_the_messages_own_and_escapes_separate_nothing(tmp_path):
    """2.5.4 and 2.7: MSH-1 and MSH-2 name the delimiters."""
    odd = A01.replace("|", "!").replace("^", "*").replace("~", "%").replace("MSH!*%\\&", "MSH!*%\\&")
    escaped = odd.replace("内科", "内\\F\\科\\S\\\\X41\\")
    _import(tmp_path, escaped)
    assert _table(tmp_path, "stays")[0]["department"] == "内!科*A"


def test_a_batch_that_counts_more_messages_than_came_is_named(tmp_path):
    """2.10.3.2: BTS-1 is the number of messages in the batch."""
    _import(tmp_path, "FHS|^~\\&\rBHS|^~\\&\r", A01, A02, "BTS|3\rFTS|1\r")
    assert [one[2] for one in _list(tmp_path, "warnings")] == ["batch_count"]
    assert len(_table(tmp_path, "stays")) == 1


@pytest.mark.parametrize(
    ("recorded", "admitted", "moment"),
    [
        ("20260302093000", "202603020915", at(2, 9, 15)),
        ("20260302093000", "2026030209", at(2, 9)),
        ("20260302093000", "20260302091500.1234+0800", at(2, 9, 15).replace(microsecond=123400)),
        ("20260302093000", "20260302021500+0100", at(2, 9, 15)),
        ("20260302093000", "20260302", at(2, 9, 30)),
        ("20260303093000", "20260302", at(1, 8).replace(hour=16)),
        ("20260302013000+0000", "", at(2, 9, 30)),
    ],
)
def test_times_have_the_precision_and_the_offset_that_are_told(tmp_path, recorded, admitted, moment):
    """2A.3.22: YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]; of a day alone a finer one holds."""
    _import(tmp_path, message("A01", recorded, number=1, admitted=admitted))
    assert _stay(tmp_path)[0] == moment


def test_the_offset_of_the_message_holds_for_times_without_one(tmp_path):
    """2.15.9.7: the offset of MSH-7 is used throughout the message."""
    text = message("A01", "20260302013000", number=1, admitted="20260302011500")
    _import(tmp_path, text.replace("|R|20260302013000|", "|R|20260302013000+0000|"))
    assert _stay(tmp_path)[0] == at(2, 9, 15)


def test_a_discharge_told_by_its_day_lasts_to_the_end_of_it(tmp_path):
    _import(tmp_path, A01, message("A03", "20260308150000", number=2, discharged="20260306"))
    assert _stay(tmp_path)[1] == at(6, 23, 59).replace(second=59)


@pytest.mark.parametrize(
    ("types", "person"),
    [('"PI"', "X9"), ('"NHSA"', "P1"), ('["NNCHN", "PI"]', "X9"), ('"2.16.156"', "Y7")],
)
def test_of_several_numbers_the_settings_choose_by_type_or_by_who_assigned_it(tmp_path, types, person):
    """CX (2A.3.8): CX.4 assigning authority, CX.5 type."""
    text = A01.replace("~X9^^^HIS^PI", "~X9^^^HIS^PI~Y7^^^CARD&2.16.156&ISO^PT")
    _import(tmp_path, text, mapping=f"[hl7]\nperson_id_type = {types}\n")
    assert _persons(tmp_path) == [person]


def test_a_leave_whose_expected_end_cannot_be_read_is_a_leave(tmp_path):
    _import(tmp_path, A01, A21.replace("20260304180000", "tomorrow"))
    (leave,) = _table(tmp_path, "leaves")
    assert leave["due_back_at"] is None


def test_a_sites_own_patient_classes_are_mapped(tmp_path):
    mapping = '[hl7.patient_classes]\n"住院" = "inpatient"\nI = "other"\n'
    _import(
        tmp_path,
        A01,
        of_class(message("A01", "20260302093000", number=2, visit="V2"), "住院"),
        mapping=mapping,
    )
    assert [row["visit_id"] for row in _table(tmp_path, "stays")] == ["V2"]


def test_what_is_refused_is_evidence_with_what_could_be_read_of_it(tmp_path):
    _import(tmp_path, A01, A21.replace("20260304083000", "2026XX04"))
    (reject,) = _table(tmp_path, "rejects")
    assert (reject["table"], reject["reason"], reject["field"]) == ("leaves", "bad_time", "EVN-6")
    assert (reject["institution_id"], reject["person_id"], reject["visit_id"]) == ("H1", "P1", "V1")


def test_a_description_that_cannot_be_read_is_named_and_takes_nobody_out(tmp_path):
    _import(tmp_path, A01.replace("内科", "科" * 600))
    assert _table(tmp_path, "stays")[0]["department"] is None
    assert [one[1:] for one in _list(tmp_path, "warnings")] == [("PV1-10.1", "description_not_read")]


def test_a_person_update_without_a_number_is_listed(tmp_path):
    _import(tmp_path, A01, message("A31", "20260303100000", number=70, person=""))
    assert [one[1:] for one in _list(tmp_path, "rejected", "persons")] == [("PID-3.1", "missing")]
