"""Faces are counted once over all devices; papers are filled from what is in force, signed, compared."""

import pytest
import sqlalchemy as sa
from parts.command_line import run
from parts.privacy import Office

from renzheng.central.privacy import filing
from renzheng.central.privacy.filing import ALARM_AT, AUDIT, FILE_AT, PAPERS, Stored
from renzheng.central.settings import write_settings


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    made = Office(tmp_path_factory.mktemp("filing"))
    for number, people in (("1", ("P1", "P2")), ("2", ("P1",)), ("3", ())):
        made.kiosk(f"kiosk-{number}", f"H{number}").enrol(*people)
    write_settings(made.settings, made.folder / "central.toml")
    yield made
    made.close()


def counted(office):
    with office.database.reading() as connection:
        return filing.stored(connection, office.privacy.shares)


def test_a_person_on_two_devices_is_one_and_a_silent_device_is_named(office):
    found = counted(office)
    assert (found.people, found.by_device) == (2, {"kiosk-1": 2, "kiosk-2": 1})
    assert found.silent == ["kiosk-3"]
    for name in ("P1", "P2"):
        assert not [path for path in office.settings.shares_dir.rglob("*") if name in path.name]


@pytest.mark.parametrize(
    ("people", "level"),
    [(0, "none"), (ALARM_AT - 1, "none"), (ALARM_AT, "alarm"), (FILE_AT - 1, "alarm"), (FILE_AT, "file")],
)
def test_the_alarm_comes_before_the_filing(people, level):
    assert Stored(people, {}, ()).level == level


def test_papers_are_filled_signed_and_compared_with_the_last(office):
    out = office.folder / "papers"
    words = ("privacy", "filing", "--out", out, "--config", office.folder / "central.toml")
    assert "2 people" in run(*words)
    texts = {name: (out / name).read_text(encoding="utf-8") for name in PAPERS}
    assert "| 人脸信息存储人数（跨机构去重） | 2（未达到；尚未上报的设备 1 台） |" in texts["filing.md"]
    assert "住院患者的姓名与尾号" in texts["record-of-processing.md"]
    assert "P1" not in "".join(texts.values())
    assert len(list((out / "compliance-audit").glob("[0-9]*.md"))) == len(AUDIT)
    assert "0 lines have changed" in run(*words)
    office.kiosks["kiosk-2"].enrol("P2")
    assert "0 lines have changed" in run(*words), "the same people elsewhere are no more people"
    settings = (office.folder / "central.toml").read_text(encoding="utf-8")
    (office.folder / "central.toml").write_text(
        f"{settings}\n[crops]\nsecond_person = false\n", encoding="utf-8"
    )
    said = run(*words)
    assert "+截图：无须第二人批准" in said
    assert "-截图：须第二人批准" in said
    (out / PAPERS[0]).write_text("another", encoding="utf-8")
    assert "not as it was signed" in run(*words, status=1)


def test_the_counter_falls_with_a_withdrawal(office):
    from renzheng.central.privacy import withdrawals  # noqa: PLC0415

    with office.database.writing() as connection:
        one = withdrawals.asked_here(connection, "P2", "shell", "x", office.now)
        withdrawals.begin(connection, one, office.now)
        assert connection.execute(sa.select(sa.func.count()).select_from(withdrawals.TABLE)).scalar_one() == 1
    office.privacy.settle()
    assert counted(office).people == 1
