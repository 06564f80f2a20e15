"""Sign-ins by face as the devices' own log tells them, on the console and at `/metrics`."""

import datetime as dt
import html
import re
import urllib.error
import urllib.request

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from parts import pictures, stores
from parts.browser import chromium_page, uncomplaining
from parts.central import register
from parts.chromium import axe_of
from parts.devices import LogWriter

from renzheng.central.attempts import service
from renzheng.central.attempts.figures import By
from renzheng.central.attempts.publishing import Publisher
from renzheng.central.attempts.service import publish
from renzheng.central.ingest.service import Ingest, Message
from renzheng.central.metrics import Metrics
from renzheng.central.nightly.manifest import Manifest, Part
from renzheng.central.settings import make_settings
from renzheng.central.store import schema, viewer
from renzheng.central.store.database import Database
from renzheng.central.watch.service_status import ServiceStatus
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts import keys, log, tables
from renzheng.contracts.events import Outcome, utc_now

ENGINE = "dlib dlib-resnet 1"
NOW = utc_now()
BORN = {"O": dt.date(NOW.year - 76, 1, 1), "Y": dt.date(NOW.year - 51, 1, 1)}


def a_day(writer, people, hours):
    """Old people need two tries and then a witness; younger ones sign in at once."""
    for n in range(people):
        at = NOW - dt.timedelta(hours=hours, minutes=10 * n)
        first = {"engine": ENGINE, "attempts": 1, "decision_ms": 900}
        writer.tried(f"O{n}", at, Outcome.NON_MATCH, **first)
        writer.tried(f"O{n}", at + dt.timedelta(seconds=9), Outcome.NOT_ACQUIRED, attempts=2)
        told = {"comparison_score": None, "threshold": None, "false_match_rate": None, "witness_id": "N1"}
        told |= {"outcome": Outcome.MANUAL, "reason": "tries_used", "attempts": 2}
        writer.sign_in(f"O{n}", at + dt.timedelta(seconds=60), **told)
        writer.sign_in(f"Y{n}", at + dt.timedelta(seconds=120), **first)


def lay_persons(lake, people):
    """As a night leaves the imported persons; of one the sources disagree."""
    rows = [
        {"person_id": f"{letter}{n}", "sex": sex, "birth_date": BORN[letter], "death_date": None}
        for letter, sex in (("O", "F"), ("Y", "M"))
        for n in range(people)
    ]
    rows.append({**rows[0], "birth_date": dt.date(1990, 1, 1)})
    (lake / "persons").mkdir(parents=True)
    shape = tables.arrow_schema(tables.INPUT_TABLES["persons"])
    pq.write_table(pa.Table.from_pylist(rows, schema=shape), lake / "persons" / "1.parquet")
    Manifest(version=1, parts=(Part("persons", "persons/1.parquet"),)).write(lake)


def rogue(writer):
    """Times that no clock shows, which the contract does not forbid; some are longer than parsers take."""
    for number, digits in enumerate((25, 400)):
        for name in (b"decision_ms", b"monotonic_ms"):
            kept = writer.sign_in(f"R{number}", NOW, outcome=Outcome.MATCH, decision_ms=7, attempts=1).line
            writer.entries.pop()
            line = re.sub(b'"%b":[0-9]+' % name, b'"%b":1%b' % (name, b"0" * digits), kept)
            writer.entries.append(log.Entry(writer.head.sequence + 1, writer.head.hash, line, {}))


def fill(database, more=lambda _: None):
    writers = [register(database, LogWriter(f"kiosk-{n}", f"H{n}")) for n in (1, 2)]
    a_day(writers[0], 20, 6)
    a_day(writers[1], 3, 1)
    more(writers[1])
    ingest = Ingest(database, keys.generate_key(), utc_now)
    for one in writers:
        ingest.take([Message(f"renzheng/v1/s1/{one.device_id}/up/log", batch) for batch in one.batches()])


class Site:
    """A store with a day of two institutions in it, and its console."""

    def __init__(self, folder):
        self.settings = make_settings({"data_dir": str(folder)})
        self.database = Database(stores.lay(self.settings.database))
        self.database.migrate()
        fill(self.database)
        lay_persons(self.settings.lake_dir, 20)
        self.publisher = Publisher(self.database, self.settings, utc_now)
        standing = ServiceStatus(sign_ins=self.publisher)
        app = build_app(self.database, self.settings, utc_now, Metrics(), standing)
        self.web = WebServer(app, "127.0.0.1", 0)

    def get(self, path):
        try:
            with urllib.request.urlopen(self.web.url + path) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    found = Site(tmp_path_factory.mktemp("attempts") / "central")
    found.web.start()
    yield found
    found.web.stop()
    found.database.close()


def text_of(answer):
    status, content = answer
    assert status == 200
    return html.unescape(re.sub(r"<[^>]+>", " ", content))


def test_a_site_sees_that_its_old_patients_are_failed(site):
    page = text_of(site.get("/attempts?lang=en"))
    assert "fails patients of 70 and over more often than younger ones (100% against 0.0%," in page
    assert "fails women more often than men" in page
    assert "70–79 years" in page
    assert "Of 1 of 40 people the age is not known here" in page  # two words about one birth day
    assert ENGINE in page
    assert "too few to say" in page  # the second institution's six people
    assert "更常刷脸不通过" in text_of(site.get("/attempts?lang=zh"))
    assert re.search(r'aria-label="100%, 8\d%–100%"', site.get("/attempts")[1])
    one = text_of(site.get("/attempts?lang=en&institution=H2"))
    assert "Too few to say whether the face check fails patients of 70 and over more often: 2 of them" in one


@pytest.mark.chromium
def test_the_page_in_a_browser(site):
    with chromium_page() as page:
        for language, width, height in (("zh", 1440, 900), ("en", 390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            with uncomplaining(page):
                page.goto(f"{site.web.url}/attempts?lang={language}")
                page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            picture = pictures.folder("console") / f"console-attempts-{language}-{width}.png"
            page.screenshot(path=picture, full_page=True)
            found = axe_of(page)
            assert found["passes"]
            assert found["violations"] == []


def test_metrics_tell_groups_and_no_person_or_small_group(site):
    assert "renzheng_sign_in" not in site.get("/metrics")[1]
    page = text_of(site.get("/attempts?lang=en"))
    site.publisher.look()
    assert text_of(site.get("/attempts?lang=en")) == page
    told = site.get("/metrics")[1]
    assert 'renzheng_sign_in_people{by="all",group="all"} 40.0' in told
    assert 'renzheng_sign_in_share{bound="value",by="sex",group="F",visits="failed"} 1.0' in told
    assert 'renzheng_sign_in_tries{bound="value",by="sex",group="F"} 2.0' in told
    assert 'group="unknown"' not in told
    # one person's age is unknown: not even the smaller of the two other bands is told beside the whole
    assert re.findall(r'people{by="age",group="([^"]+)"', told) == ["50-59"]
    assert not re.search(r"H[12]|[OY]\d", "".join(re.findall(r"renzheng_sign_in.*", told)))


@pytest.mark.parametrize(
    "asked", ["first=9999-12-31", "last=0001-01-01", "first=0001-01-01&last=9999-12-31", "institution=no"]
)
def test_any_days_are_answered(site, asked):
    assert site.get(f"/attempts?{asked}")[0] == 200


def test_a_number_that_gave_way_is_the_same_person_on_both_stores(database, tmp_path, monkeypatch):
    fill(database, rogue)
    with database.writing() as connection:
        row = {"person_id": "Y1", "alias_of": "Y0", "since": 1, "institution_id": "H1"}
        connection.execute(sa.insert(schema.person_aliases).values(row))
    usual = Publisher(database, make_settings({"data_dir": str(tmp_path)}), utc_now).usual()
    with database.reading() as connection:
        found = publish(connection, tmp_path / "no-lake", usual)
    assert (found.whole.whole.people, found.whole.whole.visits) == (41, 50)
    assert [one.name for one in found.whole.groups[By.AGE]] == ["unknown"]
    viewer.look_as(viewer.Viewer(frozenset({"H2"})))
    try:
        with database.reading() as connection:
            bound = publish(connection, tmp_path / "no-lake", usual)
    finally:
        viewer.look_as(None)
    assert (bound.whole.whole.people, list(bound.institutions)) == (7, ["H2"])  # a hospital sees its own
    monkeypatch.setattr(service, "MOST_ATTEMPTS", 10)
    with database.reading() as connection:
        assert publish(connection, tmp_path / "no-lake", usual).asked.first > usual.first
