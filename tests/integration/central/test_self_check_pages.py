"""`/self-check`: a month is sent, read, taken back and downloaded; persons stand in the access log only."""

import asyncio
import datetime as dt
import io
import os
import time
from pathlib import Path

import openpyxl
import orjson
import pytest
import sqlalchemy as sa
from parts.asking import Asking
from parts.check_site import HD, HP, NOW, Site

from renzheng.central.access import accounts, sessions
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role
from renzheng.central.claims.formats import Format
from renzheng.central.privacy import retention
from renzheng.central.self_check import job, uploads, worker
from renzheng.central.self_check.uploads import Asked, UploadError, Uploads
from renzheng.central.store import schema
from renzheng.central.web.access import SESSION_COOKIE
from renzheng.contracts.errors import InputError

HEADS = (
    "line_id,institution_id,visit_id,person_id,visit_type,item_code,item_name,service_time,quantity,amount,"
    "reverses_line_id"
)
MONTH = f"""{HEADS}
L1,H1,V1,PERSON-7,outpatient,{HP},血液灌流,2026-03-04T10:00:00+08:00,1,700,
L2,H1,V1,PERSON-7,outpatient,{HD},血液透析,2026-03-04T15:00:00+08:00,1,400,
L3,H1,V2,PERSON-8,outpatient,{HD},=血液透析,2026-03-05T10:00:00+08:00,1,400,
L4,H1,V2,PERSON-8,outpatient,{HD},血液透析,never,1,400,
"""
BORDER = "----a-border"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    with made.database.writing() as connection:
        office = New("office", frozenset({Role.HOSPITAL_OFFICE}), frozenset({"H1"}))
        accounts.add(connection, office, "test", NOW)
        made.session = sessions.begin(connection, "office", NOW)
    return made


def send(site, files, *, file_format="csv", who="his-1", **headers):
    parts = [
        f'--{BORDER}\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    chosen = f'--{BORDER}\r\ncontent-disposition: form-data; name="format"\r\n\r\n{file_format}\r\n'.encode()
    body = b"".join([*parts, chosen, f"--{BORDER}--\r\n".encode()])
    told = {"content-type": f"multipart/form-data; boundary={BORDER}", **headers}
    return asyncio.run(Asking(site.app, site.tokens[who]).ask("POST", "/self-check?lang=en", body, told))


def get(site, path, who="his-1"):
    return Asking(site.app, site.tokens[who]).get(path)


@pytest.fixture(scope="module")
def checked(site):
    """Check a month in this process; the browser's test does it in one of its own."""

    def here(command, **_):
        worker.main(Path(command[-1]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads.subprocess, "run", here)
        patch.setattr(worker, "NICE", 0)
        answer = send(site, [("../三月.csv", MONTH.encode())])
    assert answer.status == 303, answer.text
    return answer.headers["location"]


def test_advices_stand_by_rule_with_lines_yuan_and_what_to_do(site, checked):
    page = get(site, f"{checked}?lang=en").text
    for words in ("L2", "¥400.00", "Take one of the two items back", "1 rows were not read"):
        assert words in page, words
    assert "L3" not in page
    assert "撤回主项或从项中的一项" in get(site, f"{checked}?lang=zh").text
    assert checked.rsplit("/", 1)[1] in get(site, "/self-check").text


def test_nothing_of_a_person_is_kept_but_who_was_looked_at(site, checked):
    kept = list((site.settings.checks_dir / "self").iterdir())
    assert [one.suffix for one in kept] == [".json"]
    assert b"PERSON" not in kept[0].read_bytes()
    with site.database.reading() as connection:
        seen = connection.execute(sa.select(schema.access_log_persons.c.person_id)).scalars().all()
    assert seen == ["PERSON-7"]


def test_files_hold_the_advices_and_no_formula(site, checked):
    book = openpyxl.load_workbook(io.BytesIO(get(site, f"{checked}.xlsx?lang=en").body))
    rows = list(book.active.values)
    assert (rows[1][2], rows[1][6]) == ("L2", 400)
    text = get(site, f"{checked}.csv?lang=en").body.decode("utf-8-sig")
    assert text.splitlines()[1].split(",")[-7:-3] == ["V1", f"{HD} 血液透析", "2026-03-04", "400.0"]


def test_ticked_lines_are_taken_back_once(site, checked):
    office = Asking(site.app)
    office.cookies[SESSION_COOKIE] = site.session
    form, kind = {"line": "0.0", "text": "重复收费"}, {"content_type": "application/x-www-form-urlencoded"}
    answer = office.post(f"{checked}/take-back?page=1", form, **kind)
    assert answer.headers["location"].endswith("taken=1"), answer.text
    assert office.post(f"{checked}/take-back", form, **kind).headers["location"].endswith("taken=0")
    assert "Taken back" in get(site, f"{checked}?lang=en").text
    for sent in ({"line": "9.9", "text": "x"}, {"line": "0.-1", "text": "x"}, {"line": "0.0", "text": " "}):
        assert office.post(f"{checked}/take-back?lang=en", sent, **kind).status == 422
    with site.database.reading() as connection:
        (row,) = connection.execute(sa.select(schema.withheld_lines)).mappings().all()
    assert (row["line_id"], row["amount_fen"], row["alike"], row["taken_by"]) == ("L2", 40_000, 1, "office")


def test_others_see_nothing_and_whoever_may_not_is_refused(site, checked):
    assert get(site, checked, "his-2").status == 404
    assert Asking(site.app, site.tokens["his-2"]).post(f"{checked}/take-back", {"line": "0.0"}).status == 404
    assert Asking(site.app, site.tokens["his-2"]).post(f"{checked}/delete").status == 404
    assert get(site, "/self-check", "au").status == 403
    assert get(site, "/self-check/..%2f..%2fchecks").status == 404


def test_what_cannot_be_checked_is_said_in_words(site, monkeypatch):
    assert "No file was sent" in send(site, []).text
    assert "No file was sent" in send(site, [("a.csv", b"")]).text
    assert "more than 20 files" in send(site, [("a.csv", b"x")] * 21).text
    big = send(site, [("a.csv", b"x")], **{"content-length": str(uploads.MOST_BYTES * 2)})
    assert (big.status, "larger than 256 MB" in big.text) == (413, True)
    monkeypatch.setattr(uploads, "MOST_BYTES", 10)
    assert "The files are larger" in send(site, [("a.csv", b"x" * 11)]).text


def laid(folder, month, institutions=("H1",), file_format="csv"):
    (folder / job.LINES).mkdir()
    (folder / job.LINES / "m.csv").write_bytes(month)
    told = {"format": file_format, "institutions": institutions, "zone": "Asia/Shanghai", "rules": None}
    (folder / job.JOB).write_bytes(orjson.dumps({**told, "region": None}))
    return folder


@pytest.mark.parametrize(
    ("month", "institutions", "words"),
    [
        (MONTH.encode(), ("H2",), "not registered"),
        (b"\x00\xff", ("H1",), ""),
        (HEADS.encode(), ("H1",), ""),
    ],
    ids=["another's", "noise", "no row"],
)
def test_what_the_files_are_wrong_in_is_an_input_error(tmp_path, month, institutions, words):
    with pytest.raises(InputError) as refused:
        worker.work(laid(tmp_path, month, institutions))
    assert words in str(refused.value)


def test_one_month_is_checked_at_a_time_and_results_go_by_themselves(tmp_path, site):
    now = [NOW]
    own = Uploads(site.settings.model_copy(update={"data_dir": tmp_path}), lambda: now[0])
    own._working.acquire()
    with pytest.raises(UploadError, match="Another month"):
        own.check([], Asked("his-1", ["H1"], Format.CSV))
    folder = own._folder
    (folder / ".checking-old").mkdir(parents=True)
    (folder / ".checking-new").mkdir()
    old = time.time() - uploads.LEFT_SECONDS - 1
    os.utime(folder / ".checking-old", (old, old))
    result = {"id": "a", "made_at": int(NOW.timestamp() * 1e6), "institutions": ["H1"]}
    (folder / "a.json").write_bytes(orjson.dumps(result))
    (folder / "torn.json").write_bytes(b"{")
    own.sweep()
    assert {one.name for one in folder.iterdir()} == {".checking-new", "a.json"}
    days = {item.key: item.days for item in retention.items(site.settings)}
    assert days["self_checks"] == uploads.KEPT_DAYS
    now[0] += dt.timedelta(days=uploads.KEPT_DAYS, seconds=1)
    own.sweep()
    assert not (folder / "a.json").exists()
