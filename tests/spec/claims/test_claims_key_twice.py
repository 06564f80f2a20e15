"""JSON that names a key twice: what stands in it is refused with its yuan, and nothing beside it is lost."""

import csv
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from renzheng.central.claims.importer import Format, import_claims
from renzheng.central.claims.source import Options

LINE = {
    "feedetl_sn": "1", "mdtrt_id": "V1", "psn_no": "P1", "med_type": "14", "med_list_codg": "D01",
    "fee_ocur_time": "2026-03-02 08:00:00", "det_item_fee_sumamt": 400, "cnt": 1, "medins_list_name": "透析",
}  # fmt: skip
ITEM = {
    "sequence": 1, "productOrService": {"coding": [{"code": "D01"}]}, "servicedDate": "2026-03-02",
    "quantity": {"value": 1}, "net": {"value": 400, "currency": "CNY"},
}  # fmt: skip
CLAIM = {
    "resourceType": "Claim", "id": "C1", "status": "active", "use": "claim",
    "patient": {"reference": "Patient/P1"}, "provider": {"reference": "Organization/H1"},
}  # fmt: skip
PATIENT = {"resourceType": "Patient", "id": "P9", "gender": "female", "birthDate": "1950-05-06"}


def text(value, *changes):
    """Write JSON, and put a second value beside a key of it."""
    found = json.dumps(value, ensure_ascii=False)
    for before, after in changes:
        assert found.count(before) == 1
        found = found.replace(before, after)
    return found


def line(number, **change):
    return {**LINE, "feedetl_sn": str(number), **change}


def upload(*lines, **head):
    return {"infno": "2204", "fixmedins_code": "H1", **head, "input": {"feedetail": list(lines)}}


def claim(*items, number="C1", **change):
    return {**CLAIM, "id": number, **change, "item": [{**ITEM, "sequence": one} for one in items]}


def bundle(*resources):
    return {"resourceType": "Bundle", "entry": [{"fullUrl": "", "resource": one} for one in resources]}


def read(tmp_path, content, file_format):
    """Import it; give the lines that were taken, and those refused with their reasons and yuan."""
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    options = Options(institution="H1")
    import_claims(tmp_path / "a.json", tmp_path / "out", file_format=file_format, options=options)
    taken = {row["line_id"] for row in pq.read_table(tmp_path / "out" / "claim_lines.parquet").to_pylist()}
    rejects = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    return taken, rejects


def refused(tmp_path, table="claim_lines"):
    with (tmp_path / "out" / "rejected" / f"{table}.csv").open(encoding="utf-8", newline="") as stream:
        return [row["reason"] for row in csv.DictReader(stream)]


SECOND = ('"det_item_fee_sumamt": 401', '"det_item_fee_sumamt": 999, "det_item_fee_sumamt": 401')

OTHER_CASE = (SECOND[0], f'"DET_ITEM_FEE_SUMAMT": 9, {SECOND[0]}')
ENTRY = '{"fullUrl": "", "resource": {"resourceType": "Claim", "id": "C2"'
IDS = ["line", "line in another case", "message", "wrapper", "JSON in text", "answer within", "answer apart"]


@pytest.mark.parametrize(
    ("content", "taken", "yuan"),
    [
        (text(upload(line(1), line(2, det_item_fee_sumamt=401), line(3)), SECOND), {"1", "3"}, [401]),
        (
            text(upload(line(1), line(2, det_item_fee_sumamt=401), line(3)), OTHER_CASE),
            {"1", "3"},
            [401],
        ),
        (
            text(upload(line(1)))
            + "\n"
            + text(upload(line(2), line(3), msgid="m2"), ('"msgid": "m2"', '"msgid": "m1", "msgid": "m2"'))
            + "\n"
            + text(upload(line(4))),
            {"1", "4"},
            [400, 400],
        ),
        (
            text([upload(line(1)), {"log": upload(line(2))}], ('{"log": ', '{"log": 1, "log": ')),
            {"1"},
            [400],
        ),
        (
            text([upload(line(1)), {"log": json.dumps(upload(line(2), msgid="m"))}]).replace(
                '\\"msgid\\": \\"m\\"', '\\"msgid\\": \\"m\\", \\"msgid\\": \\"n\\"'
            ),
            {"1"},
            [400],
        ),
        (
            text(
                [upload(line(1)), {**upload(line(2)), "infcode": 0}],
                ('"infcode": 0', '"infcode": 5, "infcode": 0'),
            ),
            {"1"},
            [400],
        ),
        (
            text(
                [upload(line(1)), upload(line(2), msgid="m2"), {"infcode": 0, "inf_refmsgid": "m2"}],
                ('{"infcode": 0', '{"infcode": 5, "infcode": 0'),
            ),
            {"1"},
            [400],
        ),
    ],
    ids=IDS,
)
def test_nhsa(tmp_path, content, taken, yuan):
    lines, rejects = read(tmp_path, content, Format.NHSA)
    assert lines == {f"H1:V1:{number}" for number in taken}
    assert [row["amount"] for row in rejects if row["amount"] is not None] == [Decimal(one) for one in yuan]
    assert set(refused(tmp_path)) == {"key_twice"}


@pytest.mark.parametrize(
    ("content", "taken", "yuan"),
    [
        (text(bundle(claim(1, 2, 3)), ('"sequence": 2', '"sequence": 9, "sequence": 2')), {"1", "3"}, [400]),
        (
            text(bundle(claim(4), claim(1, 2, number="C2")), ('"id": "C2"', '"id": "C3", "id": "C2"')),
            {"4"},
            [400, 400],
        ),
        (
            text(claim(4)) + "\n" + text(claim(1, number="C2"), ('"id": "C2"', '"id": "C2", "id": "C2"')),
            {"4"},
            [400],
        ),
        (
            text(
                bundle(claim(4), claim(1, number="C2")),
                (ENTRY, ENTRY.replace('"resource"', '"resource": 1, "resource"', 1)),
            ),
            {"4"},
            [400],
        ),
        (text(claim(4)) + "\n" + text({**bundle(claim(1)), "x": 1}, ('"x": 1', '"entry": []')), {"4"}, []),
    ],
    ids=["item", "claim in a bundle", "claim in a line", "entry", "bundle"],
)
def test_fhir(tmp_path, content, taken, yuan):
    lines, rejects = read(tmp_path, content, Format.FHIR)
    assert lines == {f"H1:C1:{number}" for number in taken}
    assert [row["amount"] for row in rejects if row["amount"] is not None] == [Decimal(one) for one in yuan]
    assert set(refused(tmp_path)) == {"key_twice"}


def test_a_person_with_a_key_twice_is_no_person(tmp_path):
    doubtful = text(PATIENT, ('"gender": "female"', '"gender": "male", "gender": "female"'))
    read(tmp_path, text(claim(1)) + "\n" + doubtful, Format.FHIR)
    assert refused(tmp_path, "persons") == ["key_twice"]


def test_a_key_in_two_spellings_with_one_value_is_taken(tmp_path):
    content = text(upload(line(1)), ('"psn_no": "P1"', '"PSN_NO": "P1", "psn_no": "P1"'))
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    summary = import_claims(
        tmp_path / "a.json", tmp_path / "out", file_format=Format.NHSA, options=Options(institution="H1")
    )
    assert summary.tables["claim_lines"].added == 1
