"""What rounds and stays become in the night's tables, and on the pages of rounds and rates."""

import csv
import datetime as dt
import io
import json
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from parts import second_draw
from parts.adt import message
from parts.dialysis_day import write_tables
from parts.rounds import HOUR, Bureau

from renzheng.central.draw.export import spot_checks
from renzheng.central.main import build_central, make_signing_key
from renzheng.central.nightly.lake import Lake
from renzheng.central.settings import make_settings
from renzheng.contracts import keys
from renzheng.contracts.events import utc_now

START = utc_now() - dt.timedelta(days=20)


class Played:
    """A central with one round played through and one open, its console serving."""

    def __init__(self, folder):
        told = {"data_dir": str(folder), "port": 0}
        self.settings = make_settings(told)
        make_signing_key(self.settings.key_file)
        self.central = build_central(self.settings)
        key = keys.load_private_key(self.settings.key_file.read_bytes())
        self.bureau = Bureau(self.central.database, key, self.settings.checkpoints_dir, START)
        self.bureau.admit_everybody()
        self.round_id = self.bureau.commit()
        self.bureau.draw(self.round_id)
        self.checks = self.bureau.open()
        self._answer()
        self.bureau.close()
        self.bureau.now = utc_now() - 3 * HOUR
        self.open_id = self.bureau.commit()
        self.bureau.draw(self.open_id)
        self.bureau.answer(self.bureau.open()[0], "present")

    def _answer(self):
        """One of each: on leave before and after the draw, gone home, corrected, too late, silent."""
        self.prior, self.late, self.gone, self.corrected, self.after, self.silent, *rest = self.checks
        local = (self.bureau.now + HOUR / 2).astimezone(dt.timezone(8 * HOUR))
        moment = f"{local:%Y%m%d%H%M%S}"
        self.bureau.now += HOUR
        for number, (check, trigger) in enumerate(((self.late, "A21"), (self.gone, "A03"))):
            told = {"institution": check["institution_id"], "visit": check["visit_id"]}
            told |= {"person": check["person_id"], "ward": check["ward"], "occurred": moment}
            self.bureau.receiver.receive(message(trigger, moment, f"L{number}", **told).encode())
        for check in (self.late, self.gone):
            self.bureau.answer(check, "absent", self.bureau.now + HOUR / 2)
        self.bureau.answer(self.prior, "away_approved")
        self.bureau.answer(self.corrected, "absent")
        self.bureau.answer(self.corrected, "present", self.bureau.now + HOUR / 2)
        self.bureau.answer(self.after, "absent", self.bureau.now + 9 * HOUR)
        for check in rest:
            self.bureau.answer(check, "present")


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    found = Played(tmp_path_factory.mktemp("played") / "central")
    found.central._web.start()
    yield found
    found.central._web.stop()
    found.central.database.close()


def results(rows):
    return {row["check_id"]: row["result"] for row in rows}


def test_the_audit_is_told_what_counts_and_nothing_else(played):
    with played.central.database.reading() as connection:
        told = results(spot_checks(connection).to_pylist())
    of_round = {one["check_id"] for one in played.checks}
    assert {told[one["check_id"]] for one in played.checks[6:]} == {"present"}
    assert told[played.prior["check_id"]] == "away_approved"
    assert told[played.late["check_id"]] == "absent"
    assert told[played.corrected["check_id"]] == "present"
    assert told[played.after["check_id"]] == told[played.silent["check_id"]] == "unanswered"
    assert told[played.gone["check_id"]] == "absent"  # discharged since the draw: it stands apart, and stays
    assert len(told.keys() - of_round) == 1  # of the open round only what was answered


def test_the_lake_takes_stays_leaves_and_checks(played):
    imports = played.settings.tables_dir
    imports.mkdir(parents=True, exist_ok=True)
    write_tables(imports)
    lake = Lake(played.settings.data_dir / "lake-test", ZoneInfo("Asia/Shanghai"))
    with played.central.database.reading() as connection:
        manifest = lake.refresh(connection, imports)

    def rows(name):
        parts = [part for part in manifest.parts if part.table == name]
        return [row for part in parts for row in pq.read_table(lake.folder / part.path).to_pylist()]

    assert results(rows("spot_checks"))[played.silent["check_id"]] == "unanswered"
    assert {row["visit_id"] for row in rows("stays")} >= {one["visit_id"] for one in played.checks}
    (leave,) = [row for row in rows("leaves") if row["visit_id"] == played.late["visit_id"]]
    drawn = dt.datetime.fromtimestamp(played.late["drawn_at"] / 1e6, dt.UTC)
    assert leave["recorded_at"] > drawn  # so the audit's leave-after-draw finds it
    assert not [row for row in rows("institutions") if row["institution_id"].startswith("bureau:")]
    with played.central.database.reading() as connection:
        assert lake.refresh(connection, imports) == manifest


def get(played, path, data=None, **headers):
    asked = urllib.request.Request(played.central.url + path, data=data, headers=headers)
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_answer_in_both_languages(played, language):
    for path in ("/rounds", f"/rounds/{played.round_id}", "/rate", "/rate/H1", "/inpatients"):
        status, body = get(played, f"{path}?lang={language}")
        assert status == 200
        assert b"Traceback" not in body
    for path in (
        "/rounds/none",
        "/rate/none",
        f"/rounds/{played.open_id}/published.json",
        "/rounds/x/commitment.json",
    ):
        assert get(played, path)[0] == 404


def test_the_published_file_and_the_commitment_can_be_fetched(played):
    commitment = json.loads(get(played, f"/rounds/{played.round_id}/commitment.json")[1])
    published = get(played, f"/rounds/{played.round_id}/published.json")[1].decode()
    assert second_draw.holds(published, commitment["commitment_sha256"])


def test_a_sealed_round_shows_nobody(played):
    sealed = played.bureau.commit()
    body = get(played, f"/rounds/{sealed}")[1].decode()
    assert "P-H" not in body


def test_the_rate_as_csv_and_as_a_workbook(played):
    content = get(played, "/rate/rate.csv?lang=en")[1].decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content)))
    whole = [row for row in rows if not row["Ward"]]
    assert sum(int(row["unanswered"]) for row in whole) == 2
    assert sum(int(row["discharged after the draw"]) for row in whole) == 1
    assert sum(int(row["void"]) for row in whole) == 0
    assert sum(int(row["covered"]) for row in whole) == 1
    assert sum(int(row["Counted"]) for row in whole) == sum(int(row["Counted"]) for row in rows) / 2
    book = get(played, "/rate/rate.xlsx")[1]
    assert "在床率" in zipfile.ZipFile(io.BytesIO(book)).read("xl/workbook.xml").decode()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rate?first=x", 400),
        ("/rate?last=0001-01-01", 200),
        ("/rate?first=9999-12-31&last=0001-01-01", 200),
        ("/rounds?page=0", 400),
    ],
)
def test_odd_questions_have_an_answer(played, path, status):
    assert get(played, path)[0] == status


FORM = {"institution": "H1", "kind": "admit", "visit": "V-f", "person": "P-f", "ward": "骨科", "bed": "1"}


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({}, {"Origin": "https://evil.example"}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"kind": "vanish"}, {}, 400),
        ({"visit": ""}, {}, 400),
        ({"at": "yesterday"}, {}, 400),
        ({"kind": "leave"}, {}, 400),
        ({"kind": "leave", "approved_by": "D", "leave_kind": "holiday"}, {}, 400),
        ({"institution": "bureau:371121"}, {}, 200),  # noted as refused, as the next
        ({"institution": "none"}, {}, 200),  # noted as refused, and said on the page that follows
        ({"visit": "V" * 9000}, {}, 413),
        ({}, {"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
    ],
)
def test_what_the_form_takes(played, changes, headers, status):
    body = urllib.parse.urlencode({**FORM, **changes}).encode()
    assert get(played, "/inpatients", body, **headers)[0] == status


def test_a_reload_after_the_form_sends_nothing_again(played):
    body = urllib.parse.urlencode({**FORM, "visit": "V-once", "person": "P-once", "bed": "2"}).encode()
    asked = urllib.request.Request(f"{played.central.url}/inpatients", data=body)
    with urllib.request.urlopen(asked) as answer:
        assert answer.url.endswith("/inpatients?institution=H1&outcome=taken")
        assert 'class="notice supported" role="status"' in answer.read().decode()


def test_a_field_that_cannot_be_read_is_marked(played):
    body = urllib.parse.urlencode({**FORM, "at": "yesterday"}).encode()
    _, page = get(played, "/inpatients", body)
    assert 'name="at" aria-invalid="true" aria-describedby="wrong"' in page.decode()
