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


def _list(tmp_path, folder):
    path = tmp_path / "out" / folder / "stays.csv"
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
