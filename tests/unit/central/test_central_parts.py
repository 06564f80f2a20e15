"""Settings, texts, metrics, the line of time."""

import ast
import datetime as dt
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from parts.metrics import series

from renzheng import central
from renzheng.central.errors import SettingsError
from renzheng.central.metrics import HELP, Metrics
from renzheng.central.nightly.evidence import LineEvidence, witnesses_of
from renzheng.central.settings import make_settings, read_settings, write_settings
from renzheng.central.store.times import day_bounds_us, from_us, to_us
from renzheng.central.texts import texts
from renzheng.central.web.console.pages import with_gaps
from renzheng.central.web.console.timeline import lay_out
from renzheng.central.web.rate_pages import further_text
from renzheng.contracts.events import utc_now

HOME = Path(central.__file__).parent
SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_settings_survive_the_file(tmp_path):
    path = tmp_path / "central.toml"
    told = {"data_dir": "data", "shards": ["a", "b"], "broker": {"port": 1884, "protocol": "3.1.1"}}
    write_settings(make_settings(told), path)
    found = read_settings(path)
    assert found.data_dir == tmp_path / "data"
    assert found.shards == ("a", "b")
    assert (found.broker.port, found.broker.protocol) == (1884, "3.1.1")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("data_dir = 'd'\nport = 99999\ntimezone = 'Mars'", ["port", "timezone"]),
        ("data_dir = 'd'\nhost = '0.0.0.0'", ["access_token_file"]),
        ("data_dir = 'd'\n[broker]\nhost = 'broker.example'", ["ca_file"]),
        ("data_dir = 'd'\nshards = ['a/b']", ["shards"]),
        ("port = ", ["cannot be read"]),
        ("data_dir = 'd'\nunheard = 1", ["unheard"]),
    ],
)
def test_every_wrong_setting_is_named(tmp_path, text, named):
    path = tmp_path / "central.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings(path)
    assert all(name in str(caught.value) for name in named)


def test_both_catalogues_say_the_same_things():
    chinese, english = texts("zh").catalogue, texts("en").catalogue
    assert chinese.keys() == english.keys()
    for key, text in chinese.items():
        assert set(re.findall(r"\{(\w+)", text)) == set(re.findall(r"\{(\w+)", english[key])), key


def test_every_text_that_a_template_says_is_in_the_catalogue():
    said = set()
    for template in (HOME / "web" / "console" / "templates").glob("*.html"):
        said |= set(re.findall(r"\bt\('([a-z_.0-9]+)'[,)]", template.read_text(encoding="utf-8")))
    assert len(said) > 60
    assert said <= texts("zh").catalogue.keys()


REASONS = (
    "verified_session corroborated_manual elsewhere after_death too_short identity_mismatch no_session "
    "more_lines_than_sessions manual_uncorroborated no_sign_out pad_not_shown clock_untrusted coverage_gap "
    "outside_stay absent_at_check seen approved_leave on_leave not_seen billed_late other_day "
    "bedside_possible broken_row bed_billed_twice unexplained_absence"
)


@pytest.mark.parametrize("reason", REASONS.split())
def test_every_reason_of_the_audit_has_a_text_and_an_explanation(reason):
    for language in ("zh", "en"):
        assert f"reason.{reason}" in texts(language).catalogue
        assert len(texts(language)(f"reason_says.{reason}")) > 10


def test_metrics_are_written_for_a_scraper():
    metrics = Metrics()
    metrics.add("renzheng_ingest_messages_total", ending="stored")
    metrics.add("renzheng_ingest_messages_total", 2, ending='qu"ote')
    metrics.observe("renzheng_ingest_commit_seconds", 0.003)
    lines = metrics.text().splitlines()
    assert 'renzheng_ingest_messages_total{ending="stored"} 1.0' in lines
    assert 'renzheng_ingest_messages_total{ending="qu\\"ote"} 2.0' in lines
    assert 'renzheng_ingest_commit_seconds_bucket{le="0.0025"} 0.0' in lines
    assert 'renzheng_ingest_commit_seconds_bucket{le="0.005"} 1.0' in lines
    assert "renzheng_ingest_commit_seconds_count 1.0" in lines


LABELLED = {
    "ending": ["renzheng_ingest_messages_total"],
    "shard": ["renzheng_ingest_connected"],
    "certificate": ["renzheng_certificate_days_left"],
}


def test_series_keep_their_names_types_and_labels():
    metrics = Metrics()
    label_of = {name: label for label, names in LABELLED.items() for name in names}
    expected = set()
    for name, (kind, _) in HELP.items():
        labels = {label_of[name]: "x"} if name in label_of else {}
        if kind == "counter":
            metrics.add(name, 2, **labels)
        elif kind == "gauge":
            metrics.put(name, 2, **labels)
        else:
            metrics.observe(name, 2)
            expected |= {(f"{name}_bucket", kind, "le"), (f"{name}_sum", kind), (f"{name}_count", kind)}
            continue
        expected.add((name, kind, *labels))
        assert metrics.value(name, **labels) == 2
    assert series(metrics.text(), prefix="") == expected


def test_what_nobody_has_counted_yet_is_not_shown_as_nought():
    metrics = Metrics()
    assert metrics.text().strip() == ""
    assert metrics.value("renzheng_store_takes_writes") == 0


def test_what_is_read_for_one_answer_is_of_that_answer_only():
    metrics = Metrics()
    workers = [("renzheng_worker_turns_total", (("worker", name),), 3.0) for name in ("a", "b")]
    assert 'renzheng_worker_turns_total{worker="b"} 3.0' in metrics.text(workers).splitlines()
    assert "worker" not in metrics.text(workers[:0])


def test_two_processes_in_one_count_apart():
    one, other = Metrics(), Metrics()
    one.add("renzheng_ingest_entries_total", 5)
    assert other.value("renzheng_ingest_entries_total") == 0


def test_every_metric_in_use_has_a_help_text():
    used = set()
    for file in HOME.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and re.fullmatch(r"renzheng_[a-z_]+", node.value) and "cookie" not in node.value:
                used.add(node.value)
    used -= {"renzheng_access", "renzheng_language"}
    assert used == set(HELP)


def test_moments_survive_the_store():
    now = utc_now()
    assert from_us(to_us(now)) == now
    start, end = day_bounds_us(dt.date(2026, 3, 2), dt.date(2026, 3, 2), SHANGHAI)
    assert from_us(start) == dt.datetime(2026, 3, 1, 16, tzinfo=dt.UTC)
    assert end - start == 86_400_000_000


def evidence(**rows):
    start = dt.datetime(2026, 3, 1, 16, tzinfo=dt.UTC)
    hour = dt.timedelta(hours=1)
    empty = dict.fromkeys(
        ("attendance", "machine_sessions", "coverage", "spot_checks", "leaves", "stays"), ()
    )
    line = {"service_time": start + 10 * hour, "institution_id": "H1"}
    return LineEvidence(
        line, "haemodialysis", start, start + 24 * hour, prescription=None, **{**empty, **rows}
    )


def test_the_line_of_time_covers_the_local_day():
    drawn = lay_out(evidence(), [], SHANGHAI, texts("zh"))
    assert drawn.ticks[0].label == "00:00"
    assert drawn.ticks[-1].label == "24:00"
    assert drawn.left < drawn.service_x < drawn.width
    assert [row.lane for row in drawn.rows] == ["attendance", "session", "machine", "coverage"]


def test_the_line_of_time_stretches_for_a_session_across_midnight():
    start = dt.datetime(2026, 3, 2, 14, tzinfo=dt.UTC)
    machine = {"machine_id": "M", "institution_id": "H1", "started_at": start}
    machine["ended_at"] = start + dt.timedelta(hours=6)
    drawn = lay_out(evidence(machine_sessions=(machine,)), [], SHANGHAI, texts("zh"))
    bar = drawn.rows[2].bars[0]
    assert bar.x + bar.width <= drawn.width
    assert bar.kind == "machine"


def test_a_cited_event_stands_out():
    event = {
        "event_id": "e",
        "institution_id": "H1",
        "event_type": "sign_in",
        "outcome": "match",
        "session_id": "s",
        "occurred_at": dt.datetime(2026, 3, 2, 1, tzinfo=dt.UTC),
    }
    marks = (
        lay_out(evidence(attendance=(event, {**event, "event_id": "f"})), ["e"], SHANGHAI, texts("zh"))
        .rows[0]
        .marks
    )
    assert [mark.cited for mark in marks] == [True, False]


def stretch(start, end, state="up"):
    return {"state": state, "from_at": start, "to_at": end, "cause": None, "received_at": end + 1}


def test_time_that_nobody_reported_stands_between_the_stretches():
    rows = with_gaps([stretch(50, 60), stretch(40, 50), stretch(10, 30), stretch(0, 12)])
    assert [(row["state"], row["from_at"], row["to_at"]) for row in rows] == [
        ("up", 50, 60),
        ("up", 40, 50),
        ("unreported", 30, 40),
        ("up", 10, 30),
        ("up", 0, 12),
    ]


def test_a_line_with_witnesses_never_reads_that_nothing_shows_the_person():
    manual = {
        "event_id": "e", "institution_id": "H1", "event_type": "sign_in", "outcome": "manual",
        "occurred_at": dt.datetime(2026, 3, 2, 9, tzinfo=SHANGHAI),
    }  # fmt: skip
    run = {
        "institution_id": "H1", "machine_id": "M1", "started_at": dt.datetime(2026, 3, 2, 9, tzinfo=SHANGHAI),
        "ended_at": dt.datetime(2026, 3, 2, 13, tzinfo=SHANGHAI),
    }  # fmt: skip
    found = evidence(attendance=(manual,), machine_sessions=(run,))
    assert witnesses_of(found) == ["machine_session", "sign_in_manual"]
    elsewhere = evidence(attendance=({**manual, "institution_id": "H2"},))
    assert witnesses_of(elsewhere) == []
    for language, denied in (("zh", "没有任何"), ("en", "no evidence")):
        t = texts(language)
        for reason in ("no_session", "coverage_gap", "identity_mismatch", "not_seen"):
            assert denied not in t(f"reason_named.{reason}").lower()
        for kind in witnesses_of(found):
            assert f"witness_kind.{kind}" in t.catalogue


def test_above_two_hundredfurther_text_checks_nobody_is_asked_for_them():
    t = texts("zh")
    assert (further_text(None, t), further_text(0, t), further_text(200, t)) == ("", 0, 200)
    assert further_text(12_929, t) == t("rate.hardly")
