"""Runs of machines from JSON by a mapping, from DICOM headers, and from orders and results of HL7."""

import csv
import json
import shutil
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pydicom
import pytest
from pydicom.data import get_testdata_file

from renzheng.central.claims import dicom
from renzheng.central.claims.importer import Format, import_claims
from renzheng.central.claims.source import Options
from renzheng.contracts.errors import InputError

CITIZEN = "370101195001010023"


def read(tmp_path, file_format, *, mapping=None, **options):
    if mapping is not None:
        (tmp_path / "m.toml").write_text(mapping, encoding="utf-8")
        options["mapping"] = tmp_path / "m.toml"
    summary = import_claims(
        tmp_path / "in", tmp_path / "out", file_format=file_format, options=Options(**options)
    )
    path = tmp_path / "out" / "machine_sessions.parquet"
    return summary, pq.read_table(path).to_pylist() if path.exists() else []


def rejected(tmp_path):
    path = tmp_path / "out" / "rejected" / "machine_sessions.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [(row["file"], row["field"], row["reason"]) for row in csv.DictReader(stream)]


def at(day, hour, minute=0, second=0):
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "_writing_validation_mode", pydicom.config.IGNORE)
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


# -- JSON by a mapping

MAPPING = """
table = "machine_sessions"
timezone = "Asia/Shanghai"
[columns]
institution_id = { constant = "H1" }
machine_id = "device"
person_id = "patient.id"
started_at = { column = "run.begin", format = "%d/%m/%Y %H:%M" }
ended_at = { column = "run.end", format = "%d/%m/%Y %H:%M" }
serial_number = "serial"
"""
RUN = {
    "device": "TMS-1",
    "patient": {"id": "P1"},
    "run": {"begin": "02/03/2026 08:00", "end": "02/03/2026 08:25"},
    "serial": 77,
    "power": [1, 2],
}


@pytest.mark.parametrize("written", ["lines", "array"])
@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_json_is_read_by_a_mapping(tmp_path, folder, written, codec):
    rows = [RUN, {**RUN, "patient": {"id": "P2", "name": "张三丰"}, "serial": None}]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = "\n".join(lines) if written == "lines" else f"[{','.join(lines)}]"
    (folder / "runs.json").write_text(text, encoding=codec)
    _, found = read(tmp_path, Format.CSV, mapping=MAPPING)
    assert [(row["person_id"], row["serial_number"]) for row in found] == [("P1", "77"), ("P2", None)]
    assert (found[0]["started_at"], found[0]["ended_at"]) == (at(2, 0), at(2, 0, 25))


def test_a_bad_object_costs_itself_alone(tmp_path, folder):
    twice = json.dumps(RUN).replace('"device"', '"device": "X", "device"', 1)
    bad = {**RUN, "run": {"begin": "yesterday", "end": "02/03/2026 08:25"}}
    whole = {**RUN, "device": {"name": "TMS-1"}}
    lines = [json.dumps(RUN), twice, "{", json.dumps(bad), json.dumps(whole), json.dumps([1])]
    (folder / "runs.json").write_text("\n".join(lines))
    _, found = read(tmp_path, Format.CSV, mapping=MAPPING)
    assert len(found) == 1
    reasons = [(field, reason) for _, field, reason in rejected(tmp_path)]
    assert reasons == [
        ("", "not_parsable"),
        ("", "not_parsable"),
        ("run.begin", "bad_time"),
        ("device", "not_parsable"),
        ("", "not_parsable"),
    ]


def test_a_key_that_no_object_has_is_named(tmp_path, folder):
    (folder / "runs.json").write_text(json.dumps({"device": "TMS-1"}))
    with pytest.raises(InputError, match=r"patient\.id"):
        read(tmp_path, Format.CSV, mapping=MAPPING)


# -- DICOM


def header(folder, name="a.dcm", sample="CT_small.dcm", **elements):
    """A sample of the library with other elements."""
    dataset = pydicom.dcmread(get_testdata_file(sample))
    for keyword in dicom.TAGS:
        if keyword in dataset and keyword != "SpecificCharacterSet":
            delattr(dataset, keyword)
    usual = {"StationName": "CT01", "StudyInstanceUID": "1.2.3", "PatientID": CITIZEN}
    for keyword, value in {**usual, **elements}.items():
        setattr(dataset, keyword, value)
    dataset.save_as(folder / name)
    return folder / name


def taken(folder, clock, name, **elements):
    return header(folder, name, AcquisitionDate="20260302", AcquisitionTime=clock, **elements)


def test_the_pictures_of_a_study_are_one_run(tmp_path, folder):
    for number, clock in enumerate(("080030", "080000.500000", "081000")):
        taken(folder, clock, f"{number}.dcm", AccessionNumber="A7", DeviceSerialNumber="SN1")
    header(folder, "late.dcm", AcquisitionDateTime="20260302081500", AcquisitionDuration=30.0,
           AccessionNumber="A7", DeviceSerialNumber="SN1")  # fmt: skip
    _, (run,) = read(tmp_path, Format.DICOM, institution="H1")
    begin = datetime(2026, 3, 2, 0, 0, 0, 500_000, tzinfo=UTC)
    assert (run["started_at"], run["ended_at"]) == (begin, at(2, 0, 15, 30))
    assert (run["machine_id"], run["person_id"], run["serial_number"]) == ("CT01", CITIZEN, "SN1")
    assert (run["accession_number"], run["institution_id"], run["source"]) == ("A7", "H1", "hospital")


def test_a_performed_step_tells_begin_and_end(tmp_path, folder):
    step = {
        "PerformedProcedureStepStartDate": "20260302",
        "PerformedProcedureStepStartTime": "0800",
        "PerformedProcedureStepEndDate": "20260302",
        "PerformedProcedureStepEndTime": "0820",
        "TimezoneOffsetFromUTC": "+0900",
    }
    header(folder, **step)
    _, (run,) = read(tmp_path, Format.DICOM, institution="H1")
    assert (run["started_at"], run["ended_at"]) == (datetime(2026, 3, 1, 23, tzinfo=UTC), at(1, 23, 20))


def test_a_hospitals_own_number_names_nobody_unless_it_is_said_to_be_the_insured(tmp_path, folder):
    taken(folder, "080000", "a.dcm", PatientID="4711")
    _, (run,) = read(tmp_path, Format.DICOM, institution="H1")
    assert run["person_id"] is None, "a wrong name would speak against whoever was there"
    shutil.rmtree(tmp_path / "out")
    settings = '[dicom]\npatient_id = "insured"\n[dicom.machines]\n"CT01" = "M-CT-1"\n'
    _, (run,) = read(tmp_path, Format.DICOM, institution="H1", mapping=settings)
    assert (run["person_id"], run["machine_id"]) == ("4711", "M-CT-1")


def test_bad_files_are_named_and_cost_only_themselves(tmp_path, folder):
    taken(folder, "080000", "good.dcm")
    whole = (folder / "good.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[:200])
    (folder / "text.dcm").write_text("no picture")
    (folder / "empty.dcm").write_bytes(b"")
    taken(folder, "250000", "hour.dcm", StudyInstanceUID="1.2.4")
    header(folder, "no-time.dcm", StudyInstanceUID="1.2.5")
    taken(folder, "080000", "no-station.dcm", StudyInstanceUID="1.2.6", StationName="")
    _, found = read(tmp_path, Format.DICOM, institution="H1")
    assert len(found) == 1
    assert {(file, reason) for file, _, reason in rejected(tmp_path)} == {
        ("cut.dcm", "missing"),
        ("text.dcm", "not_parsable"),
        ("empty.dcm", "not_parsable"),
        ("hour.dcm", "bad_time"),
        ("no-time.dcm", "missing"),
        ("no-station.dcm", "missing"),
    }


def test_pixels_are_never_read(tmp_path, folder, monkeypatch):
    taken(folder, "080000", "a.dcm")
    seen = []
    real = pydicom.dcmread

    def noted(path, **options):
        seen.append((options["stop_before_pixels"], "PixelData" in real(path, **options)))
        return real(path, **options)

    monkeypatch.setattr(pydicom, "dcmread", noted)
    read(tmp_path, Format.DICOM, institution="H1")
    assert seen == [(True, False)]


def test_a_large_deflated_file_is_not_unpacked(tmp_path, folder, monkeypatch):
    shutil.copy(get_testdata_file("image_dfl.dcm"), folder / "a.dcm")
    monkeypatch.setattr(dicom, "LARGEST_DEFLATED", 1000)
    with pytest.raises(InputError):
        read(tmp_path, Format.DICOM, institution="H1")
    assert rejected(tmp_path) == [("a.dcm", "", "too_long")]


# -- HL7


def result(begin, end, *, machine="TMS-1", kind="ORU", number="F1", status="F"):
    obr = ["OBR", "1", "O1", number, "TMS", "", "", begin, end, *[""] * 16, status]
    obx = ["OBX", "1", "NM", "POWER", "", "80", *[""] * 12, machine]
    return "\r".join(
        [
            f"MSH|^~\\&|RIS|H1|BUREAU|R|20260302093000||{kind}^R01|1|P|2.5",
            f"PID|1||{CITIZEN}",
            "|".join(obr),
            "|".join(obx),
            "",
        ]
    )


def test_results_and_orders_with_begin_and_end_are_runs(tmp_path, folder):
    told = result("20260302080000", "20260302082500", status="P")
    final = result("20260302080000", "20260302082500")
    order = result("20260302090000", "20260302092500", kind="ORM", number="F2")
    (folder / "a.hl7").write_text(told + final + order)
    _, found = read(tmp_path, Format.HL7)
    assert [(run["started_at"], run["ended_at"], run["accession_number"]) for run in found] == [
        (at(2, 0), at(2, 0, 25), "F1"),
        (at(2, 1), at(2, 1, 25), "F2"),
    ]
    assert {(run["machine_id"], run["person_id"], run["institution_id"]) for run in found} == {
        ("TMS-1", CITIZEN, "H1")
    }


def test_results_that_tell_no_run_are_counted_and_wrong_ones_named(tmp_path, folder):
    texts = [
        result("20260302080000", ""),
        result("20260302080000", "20260302082500", machine=""),
        result("20260302082500", "20260302080000", number="F3"),
        result("20260302080000", "20260302082500", number="F4"),
    ]
    (folder / "a.hl7").write_text("".join(texts))
    _, found = read(tmp_path, Format.HL7)
    assert [run["accession_number"] for run in found] == ["F4"]
    assert [(field, reason) for _, field, reason in rejected(tmp_path)] == [("OBR-8", "end_before_start")]
