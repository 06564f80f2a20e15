"""A night over a real store, and the pages and answers that show it."""

import contextlib
import io
import json
import urllib.error
import urllib.parse
import urllib.request
import zipfile

import pytest
import sqlalchemy as sa
from parts.central import OnWire, register, running_central
from parts.devices import MORNING, LogWriter
from parts.dialysis_day import DAY, EXPECTED, HOUR, write_logs, write_tables
from parts.mosquitto import Mosquitto
from parts.night_store import rules_in

from renzheng.central.errors import NightError, SettingsError
from renzheng.central.store import reading, schema
from renzheng.central.store.reading import Choice
from renzheng.central.web.console.run_outcome import outcome_of

pytestmark = pytest.mark.mosquitto
PAGES = (
    "/problems",
    "/",
    "/findings",
    "/devices",
    "/devices/kiosk-1",
    "/quarantine",
    "/runs",
    f"/days/{DAY}",
)


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def get_json(url):
    return json.loads(get(url)[1])


def play_the_day(central, broker):
    """Send the day's logs and a piece of nonsense, import the bill, and run the night."""
    wire = OnWire(broker.port, central)
    for writer in write_logs():
        register(central.database, writer)
        wire.send(writer.device_id, writer.batches())
        wire.wait_for(writer.device_id, writer.head.sequence)
    wire.publish("renzheng/v1/s1/kiosk-1/up/log", b"<script>alert(1)</script>")
    wire.close()
    write_tables(central.settings.tables_dir)
    steps = []
    central.report = central.night.run(DAY, DAY, lambda *step: steps.append(step))
    central.steps = steps


@contextlib.contextmanager
def after_the_day(folder, **told):
    """A central after the day, with its broker."""
    (folder / "broker").mkdir()
    with (
        Mosquitto(folder / "broker") as broker,
        running_central(folder / "central", broker.port, **told) as central,
    ):
        play_the_day(central, broker)
        central.broker_port = broker.port
        yield central


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A central after the day, for tests that only read."""
    with after_the_day(tmp_path_factory.mktemp("audited")) as central:
        yield central


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A central after the day, for tests that add to it; each begins with the run that speaks then."""
    folder = tmp_path_factory.mktemp("own")
    with after_the_day(folder, audit={"rules_dir": rules_in(folder)}) as central:
        yield central


def speaking_of(central):
    with central.database.reading() as connection:
        return reading.run_of_day(connection, DAY.isoformat())["run_id"]


def test_every_line_gets_its_answer(audited):
    with audited.database.reading() as connection:
        total, rows = reading.verdicts(connection, Choice(day=DAY.isoformat()))
    assert total == len(EXPECTED)
    assert {row["line_id"]: (row["verdict"], row["reason"]) for row in rows} == EXPECTED
    assert {row["amount_fen"] for row in rows} == {42050}
    assert audited.steps[0][0] == "lake"
    assert audited.steps[-1][0] == "done"
    assert audited.steps[-1][1] == audited.steps[-1][2]


def test_the_report_of_a_run_stands_alone(audited):
    run = f"{audited.url}/runs/{audited.report.run_id}"
    _, page, _ = get(run)
    assert f"/runs/{audited.report.run_id}/report.html" in page
    assert f"/days/{DAY}/verdicts.xlsx" in page
    pack = audited.report.summary["packs"]["pack_hash"]
    assert pack[:16] in page
    assert "<pre" not in page  # tables in words, no record of the program's own
    counted = outcome_of(audited.report.summary)
    assert sum(one.lines for one in counted.verdicts) == len(EXPECTED)
    assert sum(one.amount_fen for one in counted.verdicts) == 42050 * len(EXPECTED)
    assert {rule for rule, _ in counted.findings} | set(counted.quiet) == set(
        audited.report.summary["findings"]
    )
    status, report, headers = get(f"{run}/report.html")
    assert status == 200
    assert "script-src" not in headers["Content-Security-Policy"]
    assert report.index('lang="zh-CN"') < report.index('lang="en"')
    for text in (
        "¥420.50",
        "L-phantom",
        "L-elsewhere",
        "没看到不等于没来",
        "无到场证据",
        pack,
    ):
        assert text in report
    for outside in ("http://", "https://", "<script", "src=", "url(", "@import"):
        assert outside not in report
    assert get(f"{audited.url}/runs/none/report.html")[0] == 404


def test_a_second_run_takes_the_place_of_the_first_whole(own):
    first = speaking_of(own)
    second = own.night.run(DAY, DAY).run_id
    with own.database.reading() as connection:
        speaking = connection.execute(sa.select(schema.audit_days.c.run_id)).scalars().all()
        kept = set(connection.execute(sa.select(schema.verdicts.c.run_id)).scalars())
        states = {row["run_id"]: row["state"] for row in reading.runs(connection)}
    assert speaking == [second]
    assert kept == {second}
    assert {first, second} <= states.keys()
    assert first != second
    assert states[first] == states[second] == "done"


def test_a_run_that_fails_leaves_the_day_as_it_was(own):
    before = speaking_of(own)
    bill = own.settings.tables_dir / "claim_lines.parquet"
    whole = bill.read_bytes()
    bill.write_bytes(b"no parquet")
    try:
        with pytest.raises(Exception, match="claim_lines"):
            own.night.run(DAY, DAY)
    finally:
        bill.write_bytes(whole)
    assert speaking_of(own) == before
    with own.database.reading() as connection:
        assert reading.runs(connection)[0]["state"] == "failed"
        assert reading.runs(connection)[0]["problem"]


def test_evidence_that_comes_late_touches_its_day(own):
    assert own.night.late_days() == []
    late = LogWriter("kiosk-3", "H1")
    register(own.database, late)
    late.sign_in("P4", MORNING + 2 * HOUR)
    late.sign_out("P4", MORNING + 6 * HOUR)
    wire = OnWire(own.broker_port, own)
    wire.send("kiosk-3", late.batches())
    wire.wait_for("kiosk-3", 2)
    wire.close()
    assert own.night.late_days() == [DAY]
    own.night.run(DAY, DAY)
    assert own.night.late_days() == []
    with own.database.reading() as connection:
        row = reading.verdict(connection, "L-phantom")
    assert (row["verdict"], row["reason"]) == ("supported", "verified_session")


def test_a_night_without_a_bill_is_refused(central):
    with pytest.raises(NightError, match="claim_lines"):
        central.night.run(DAY, DAY)
    with pytest.raises(NightError, match="backwards"):
        central.night.run(DAY, DAY.replace(day=1))


def test_every_page_opens_in_both_languages(audited):
    lines = [f"/lines/{urllib.parse.quote(line)}" for line in EXPECTED]
    run = f"/runs/{audited.report.run_id}"
    for path in (*PAGES, *lines, run):
        for language, mark in (("zh", 'lang="zh-CN"'), ("en", 'lang="en"')):
            status, page, headers = get(f"{audited.url}{path}?lang={language}")
            assert status == 200, path
            assert mark in page
            assert "<script>alert" not in page
            assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_line_page_shows_verdict_reason_and_evidence(audited):
    _, page, _ = get(f"{audited.url}/lines/L-genuine")
    for text in ("有证据支持", "已证实的透析", "¥420.50", "M07", "kiosk-1", "<svg", "判定所引"):
        assert text in page
    _, page, _ = get(f"{audited.url}/lines/L-elsewhere?lang=en")
    assert "at another institution" in page
    assert 'class="bar elsewhere"' in page


def test_filters_narrow_the_list(audited):
    _, page, _ = get(f"{audited.url}/days/{DAY}?verdict=contradicted&reason=elsewhere")
    assert "/lines/L-elsewhere" in page
    assert "/lines/L-genuine" not in page
    _, page, _ = get(f"{audited.url}/days/{DAY}?text=P2")
    assert "/lines/L-genuine/2" in page
    assert "/lines/L-phantom" not in page


def test_the_day_as_a_workbook(audited):
    with urllib.request.urlopen(f"{audited.url}/days/{DAY}/verdicts.xlsx?lang=en") as answer:
        content = answer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheets = [archive.read(f"xl/worksheets/sheet{number}.xml").decode() for number in (1, 2, 3)]
    for line in EXPECTED:
        assert line in sheets[1]
    assert sheets[1].count("<row ") == len(EXPECTED) + 1
    assert "at another institution" in sheets[0]
    assert "<f>" not in "".join(sheets)


@pytest.mark.parametrize(
    "path",
    [
        "/days/2020-01-01/verdicts.xlsx",
        "/nope",
        "/lines/none",
        "/findings/none",
        "/devices/none",
        "/runs/none",
        "/days/2020-01-01",
    ],
)
def test_what_is_not_there_is_404(audited, path):
    assert get(audited.url + path)[0] == 404


def test_the_api_answers(audited):
    base = f"{audited.url}/api/v1"
    day = get_json(f"{base}/days/{DAY}")
    assert sum(total["lines"] for total in day["totals"]) == len(EXPECTED)
    assert get_json(f"{base}/days")["days"] == [DAY.isoformat()]
    line = get_json(f"{base}/lines/{urllib.parse.quote('L-genuine/2')}")
    assert (line["verdict"], line["amount_yuan"]) == ("supported", "420.50")
    events = get_json(f"{base}/lines/L-genuine/events")
    assert [one["event_type"] for one in events["attendance"]] == ["sign_in", "sign_out"]
    assert events["machine_sessions"][0]["machine_id"] == "M07"
    assert set(line["evidence"])
    assert get_json(f"{base}/verdicts?verdict=contradicted&limit=1")["total"] == 3
    assert get_json(f"{base}/audit-runs")["runs"][0]["state"] == "done"
    assert get_json(f"{base}/audit-runs/{audited.report.run_id}")["steps_done"] > 3
    assert len(get_json(f"{base}/devices")["devices"]) == 2
    assert get_json(f"{base}/devices/kiosk-1")["head_sequence"] > 5
    assert get_json(f"{base}/quarantine")["quarantined"][0]["problem"] == "signature"
    assert "kiosk-1" in {one["device_id"] for one in get_json(f"{base}/alarms")["alarms"]}
    assert get_json(f"{base}/findings")["total"] >= 0
    assert get_json(f"{base}/health")["devices"] == 2
    assert "renzheng_devices 2" in get(f"{audited.url}/metrics")[1]


def test_the_openapi_document_covers_every_route(audited):
    document = get_json(f"{audited.url}/api/v1/openapi.json")
    paths = {path.split("{")[0].rstrip("/") for path in document["paths"]}
    for name in (
        "devices",
        "verdicts",
        "lines",
        "findings",
        "audit-runs",
        "quarantine",
        "health",
        "days",
        "problems",
    ):
        assert f"/api/v1/{name}" in paths
    assert all(path.startswith(("/api/v1/", "/nhsa/31", "/cds-services")) for path in document["paths"])


@pytest.mark.parametrize(
    "query",
    [
        "limit=1e999",
        "limit=secret-text",
        "limit=0",
        "day=tomorrow",
        "offset=99999999999999999999999",
        "verdict=" + "x" * 300,
    ],
)
def test_a_wrong_request_is_422_and_is_not_echoed(audited, query):
    status, body, _ = get(f"{audited.url}/api/v1/verdicts?{query}")
    assert status == 422
    assert json.loads(body)["error"]["fields"]
    assert "secret" not in body
    assert "xxx" not in body


def test_a_nul_in_the_address_is_refused(audited):
    assert get(f"{audited.url}/api/v1/devices/%00")[0] == 400
    assert get(f"{audited.url}/api/v1/verdicts?text=%00")[0] == 400


def test_another_host_name_is_refused(audited):
    assert get(audited.url, Host="evil.example")[0] == 400


@pytest.fixture
def guarded(tmp_path, broker):
    token = tmp_path / "token"
    token.write_text("a-long-enough-token\n")
    with running_central(tmp_path / "guarded", broker.port, access_token_file=str(token)) as running:
        yield running


def test_with_a_token_nobody_enters_without_it(guarded):
    assert get(f"{guarded.url}/api/v1/devices")[0] == 401
    assert get(f"{guarded.url}/api/v1/devices", Authorization="Bearer wrong")[0] == 401
    assert get(f"{guarded.url}/metrics")[0] == 401
    assert get(f"{guarded.url}/api/v1/devices", Authorization="Bearer a-long-enough-token")[0] == 200
    assert get(f"{guarded.url}/api/v1/health")[0] == 200
    assert 'name="token"' in get(f"{guarded.url}/devices")[1]


def test_the_sign_in_form_gives_a_cookie(guarded):
    def post(token):
        form = urllib.parse.urlencode({"token": token, "next": "//evil.example"}).encode()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        try:
            with opener.open(f"{guarded.url}/sign-in", form) as answer:
                return answer.status, answer.url
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.url

    assert post("wrong")[0] == 403
    status, address = post("a-long-enough-token")
    assert status == 200
    assert address == f"{guarded.url}/"


def test_a_short_token_is_refused_at_start(tmp_path, broker):
    token = tmp_path / "token"
    token.write_text("short")
    with (
        pytest.raises(SettingsError, match="shorter"),
        running_central(tmp_path / "c", broker.port, access_token_file=str(token)),
    ):
        pass


def test_a_port_that_is_taken_is_named(tmp_path, broker):
    with (
        pytest.raises(SettingsError, match="cannot listen"),
        running_central(tmp_path / "c", broker.port, port=broker.port),
    ):
        pass
