"""A machine's log is signed whole and once, whatever becomes of its file, its clock and the gateway."""

import json
import os
import random
import shutil

import orjson
import pytest
from parts.machine_log import COLUMNS, HEADER, NOW, make_gateway, refused_by, row, runs_of

from renzheng.central.ingest import quick
from renzheng.central.ingest.entitlement import unentitled
from renzheng.central.ingest.project import EventFlaw
from renzheng.contracts.log import read_entry
from renzheng.edge.errors import SettingsError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(HEADER)
    return path


@pytest.fixture
def gateway(tmp_path, file):
    made = make_gateway(tmp_path)
    yield made
    made.store.close()


def write(path, text):
    with path.open("a") as stream:
        stream.write(text)


def persons(gateway):
    return [data["person_id"] for data in runs_of(gateway)]


def test_a_run_is_signed_with_its_place_in_the_file(gateway, file):
    write(file, row(1))
    gateway.read()
    (data,) = runs_of(gateway)
    assert data["started_at"] == "2026-03-02T04:01:00Z", "a time without an offset is local"
    assert (data["machine_id"], data["person_id"], data["file"], data["offset"]) == (
        "M1",
        "P1",
        "runs.csv",
        len(HEADER),
    )


def test_half_a_line_waits_for_its_end(gateway, file):
    whole = row(1)
    write(file, whole[:20])
    gateway.read()
    assert runs_of(gateway) == []
    write(file, whole[20:])
    gateway.read()
    assert (persons(gateway), refused_by(gateway)) == (["P1"], [])


def test_a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_beginning(gateway, file):
    write(file, row(1))
    gateway.read()
    write(file, row(2, "P2"))
    file.rename(file.with_name("runs.csv.1"))
    file.write_text(HEADER + row(3, "P3"))
    gateway.read()
    assert persons(gateway) == ["P1", "P2", "P3"]


def test_files_rotated_twice_while_the_gateway_was_away_are_all_read(gateway, file):
    write(file, row(1))
    gateway.read()
    for number in (2, 3):
        write(file, row(number, f"P{number}"))
        file.rename(file.with_name(f"runs.csv.{4 - number}"))
        file.write_text(HEADER)
    write(file, row(4, "P4"))
    gateway.read()
    assert sorted(persons(gateway)) == ["P1", "P2", "P3", "P4"]


def test_a_file_rotated_before_its_first_run_was_read_is_not_passed_over(gateway, file):
    gateway.read()
    write(file, row(1))
    file.rename(file.with_name("runs.csv.1"))
    file.write_text(HEADER + row(2, "P2"))
    gateway.read()
    assert persons(gateway) == ["P1", "P2"]


def test_a_file_copied_and_cut_loses_and_doubles_nothing(gateway, file):
    write(file, row(1) + row(2, "P2"))
    gateway.read()
    write(file, row(3, "P3"))
    shutil.copy2(file, file.with_name("runs.csv.1"))
    os.truncate(file, 0)
    write(file, HEADER + row(4, "P4"))
    gateway.read()
    gateway.read()
    assert persons(gateway) == ["P1", "P2", "P3", "P4"]


def test_a_file_written_anew_with_what_it_had_doubles_nothing(gateway, file):
    write(file, row(1) + row(2, "P2"))
    gateway.read()
    file.write_text(HEADER + row(9, "P9") + row(1) + row(2, "P2"))
    gateway.read()
    assert persons(gateway) == ["P1", "P2", "P9"]


def test_a_gateway_that_starts_again_goes_on_where_it_was(tmp_path, file):
    first = make_gateway(tmp_path)
    write(file, row(1))
    first.read()
    first.store.close()
    write(file, row(2, "P2"))
    second = make_gateway(tmp_path)
    second.read()
    assert persons(second) == ["P1", "P2"]
    second.store.close()


def test_any_course_of_writing_rotating_cutting_and_restarting_signs_each_run_once(tmp_path, file):
    chance, made, gateway, rotations = random.Random(7), 0, make_gateway(tmp_path), 0
    for _ in range(60):
        act = chance.choice(("write", "write", "half", "rotate", "cut", "read", "restart"))
        if act in {"write", "half"}:
            made += 1
            text = row(made - 600, f"P{made}")
            write(file, text[:9])
            if act == "half":
                gateway.read()
            write(file, text[9:])
        elif act == "rotate":
            rotations += 1
            file.rename(file.with_name(f"runs.csv.{rotations}"))
            file.write_text(HEADER)
        elif act == "cut":
            rotations += 1
            shutil.copy2(file, file.with_name(f"runs.csv.{rotations}"))
            file.write_text(HEADER)
        elif act == "read":
            gateway.read()
        else:
            gateway.store.close()
            gateway = make_gateway(tmp_path)
    gateway.read()
    assert sorted(persons(gateway)) == sorted(f"P{number}" for number in range(1, made + 1))
    assert refused_by(gateway) == []
    gateway.store.close()


BAD = {
    "ends_before_it_begins": "M1,P1,2026-03-02 12:00,2026-03-02 11:00\n",
    "in_the_future": "M1,P1,2026-03-02 18:30,2026-03-02 19:00\n",
    "too_long": "M1,P1,2026-02-20 12:00,2026-03-02 12:00\n",
    "time_unreadable": "M1,P1,02/03/2026 12:00,2026-03-02 12:20\n",
    "machine_missing": ",P1,2026-03-02 12:00,2026-03-02 12:20\n",
    "shape": "M1,P1,2026-03-02 12:00\n",
    "text_too_long": "M1," + "P" * 70_000 + ",2026-03-02 12:00,2026-03-02 12:20\n",
}


@pytest.mark.parametrize("reason", BAD)
def test_what_is_no_run_is_refused_by_name_and_costs_only_itself(gateway, file, reason):
    write(file, BAD[reason] + row(1))
    gateway.read()
    assert (persons(gateway), refused_by(gateway)) == (["P1"], [reason])
    assert gateway.standing().cause == "lines_refused", "a run may be missing, so silence proves nothing"


def test_a_line_in_another_encoding_is_refused_alone(gateway, file):
    with file.open("ab") as stream:
        stream.write("M1,张三,2026-03-02 12:00,2026-03-02 12:20\n".encode("gb18030"))
    write(file, row(1))
    gateway.read()
    assert (persons(gateway), refused_by(gateway)) == (["P1"], ["encoding"])


def test_a_log_of_another_encoding_and_a_row_of_json(tmp_path):
    line = {"run": {"begin": "2026-03-02T12:00:00+08:00", "end": "2026-03-02T12:20:00+08:00"}, "名": "张三"}
    (tmp_path / "runs.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="gb18030")
    columns = {"started_at": "run.begin", "ended_at": "run.end", "person_id": "名"}
    made = {"path": tmp_path / "runs.jsonl", "format": "json", "encoding": "gb18030", "machine_id": "M7"}
    gateway = make_gateway(tmp_path, columns=columns, **made)
    gateway.read()
    assert [(data["machine_id"], data["person_id"]) for data in runs_of(gateway)] == [("M7", "张三")]
    gateway.store.close()


def test_central_takes_runs_from_devices_of_rooms_and_from_no_ward_or_bureau(gateway, file):
    write(file, row(1))
    gateway.read()
    written = read_entry(gateway.log.lines(0, 10)[-1]).event
    event = quick.read(orjson.dumps(written, option=orjson.OPT_SORT_KEYS))
    assert unentitled(event, "H1", "stimulation") is None
    for institution, purpose in (("H1", "inpatient"), ("bureau:371121", "stimulation")):
        assert isinstance(unentitled(event, institution, purpose), EventFlaw)


def test_its_coverage_says_when_the_log_was_read(gateway, file):
    gateway.read()
    os.utime(file, (NOW.timestamp(), NOW.timestamp()))
    assert gateway.standing().state.value == "up"
    os.utime(file, (NOW.timestamp() - 90_000, NOW.timestamp() - 90_000))
    assert gateway.standing().cause == "log_silent"
    file.unlink()
    assert gateway.standing().cause == "log_unreadable"


@pytest.mark.parametrize(
    "changed",
    [{"columns": {"started_at": "begin"}}, {"columns": {"started_at": "begin", "ended_at": "end"}}],
)
def test_settings_that_name_no_run_are_refused(tmp_path, changed):
    with pytest.raises(SettingsError):
        make_gateway(tmp_path, **changed)


def test_a_file_without_the_columns_signs_nothing(tmp_path):
    (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
    gateway = make_gateway(tmp_path, columns=COLUMNS)
    gateway.read()
    assert (runs_of(gateway), refused_by(gateway)) == ([], ["shape"])
    gateway.store.close()
