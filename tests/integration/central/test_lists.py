"""One list of lines and one of findings over any period: order, pages, groups, files, address, trail."""

import csv
import io
import re
from dataclasses import replace
from datetime import date
from html import unescape
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from openpyxl import load_workbook
from parts.listed import listed_console

from renzheng.bench.pages.store import Size
from renzheng.central.lists.asked import SORTS, Asked, read
from renzheng.central.lists.lists import Lists
from renzheng.central.lists.sheets import as_text
from renzheng.central.metrics import Metrics
from renzheng.central.settings import make_settings
from renzheng.central.store import audits, schema
from renzheng.central.store.times import to_us
from renzheng.central.web.app import build_app
from renzheng.central.web.server import WebServer
from renzheng.contracts.events import utc_now

MARCH = {"first": "2026-03-01", "last": "2026-03-31"}


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listed")
    with listed_console(folder, Size(lines=700, months=2, institutions=3, persons=40)) as found:
        yield found


@pytest.fixture(scope="module")
def lists(console):
    return Lists(console.settings.months_dir)


def rows_of(console, **where):
    with console.database.reading() as connection:
        rows = connection.execute(sa.select(schema.verdicts)).mappings().all()
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def walked(console, lists, asked, *, rows=40):
    """Every page of a list, one after the other."""
    found = []
    with console.database.reading() as connection:
        while True:
            page = lists.page(connection, asked, rows)
            found.append(page)
            if page.after is None:
                return found
            asked = replace(asked, cursor=page.after)


COLUMN = {
    "verdict": lambda row: ("contradicted", "insufficient", "supported").index(row["verdict"]),
    "reason": lambda row: row["reason"],
    "line": lambda row: row["line_id"],
    "institution": lambda row: row["institution_id"],
    "ward": lambda row: row["ward"],
    "person": lambda row: row["person_id"],
    "doctor": lambda row: row["doctor_id"],
    "item": lambda row: row["item_name"],
    "time": lambda row: row["service_at"],
    "amount": lambda row: row["amount_fen"],
    "coverage": lambda row: row["coverage_ratio"],
    "rule": lambda row: row["rule_id"],
}


@pytest.mark.parametrize("sort", SORTS["lines"])
def test_pages_by_any_column_show_every_row_once_and_in_order(console, lists, sort):
    descending = sort in ("amount", "person")
    pages = walked(console, lists, Asked("lines", **MARCH, sort=sort, descending=descending), rows=90)
    seen = [row for page in pages for row in page.rows]
    expected = [row for row in rows_of(console) if row["service_day"] >= "2026-03"]
    assert len({row["line_id"] for row in seen}) == len(seen) == len(expected) == pages[0].total
    values = [COLUMN[sort](row) for row in seen]
    assert values == sorted(values, reverse=descending)


def test_the_page_before_is_the_one_that_was_left(console, lists):
    asked = Asked("lines", sort="amount", descending=True)
    first, second, *_ = walked(console, lists, asked)
    with console.database.reading() as connection:
        back = lists.page(connection, replace(asked, cursor=second.before, backwards=True), 40)
    assert [row["line_id"] for row in back.rows] == [row["line_id"] for row in first.rows]
    assert back.before is None


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("institution", "institution_id", "H001"),
        ("ward", "ward", "ward-3"),
        ("verdict", "verdict", "contradicted"),
        ("rule", "rule_id", "line-bed-day"),
        ("device", "devices", "kiosk-1-0"),
    ],
)
def test_filters_and_groups_agree_with_the_store(console, lists, name, column, value):
    expected = [row for row in rows_of(console) if value in (row[column], row[column].strip('["]'))]
    with console.database.reading() as connection:
        page = lists.page(connection, Asked("lines", filters={name: (value,)}))
        groups = lists.page(connection, Asked("lines", group=name)).rows
    assert page.total == len(expected) > 0
    (group,) = [row for row in groups if row["grouped"] == value]
    assert group["rows"] == len(expected)
    assert group["amount_fen"] == sum(row["amount_fen"] for row in expected)
    wrong = [row["amount_fen"] for row in expected if row["verdict"] == "contradicted"]
    assert group["contradicted"] == sum(wrong)


def test_findings_are_found_by_what_their_lines_have(console, lists):
    with console.database.reading() as connection:
        every = lists.page(connection, Asked("findings"))
        wards = [
            lists.page(connection, Asked("findings", filters={"ward": (f"ward-{n}",)})).total
            for n in range(9)
        ]
    assert every.total == sum(wards) > 0


def test_a_new_run_is_seen_whole_on_the_next_page(console, lists):
    day = max(row["service_day"] for row in rows_of(console))
    (row, *_) = rows_of(console, service_day=day, verdict="supported")
    asked = Asked("lines", text=row["line_id"])
    changed = {**row, "run_id": "again", "verdict": "insufficient", "reason": "coverage_gap", "amount_fen": 7}
    only = date.fromisoformat(day)
    with console.database.writing() as connection:
        audits.begin(connection, "again", only, only, folder="x", now_us=1)
        kept = [{**one, "run_id": "again"} for one in rows_of(console, service_day=day)]
        kept = [one for one in kept if one["line_id"] != row["line_id"]]
        audits.add_verdicts(connection, [tuple(one.values()) for one in (*kept, changed)])
    with console.database.reading() as connection:
        assert lists.page(connection, asked).rows[0]["run_id"] == row["run_id"]
    with console.database.writing() as connection:
        audits.publish(connection, "again", only, only, summary={}, now_us=2)
    with console.database.reading() as connection:
        assert lists.page(connection, asked).rows[0]["amount_fen"] == 7
        changes = connection.execute(sa.select(schema.verdict_changes)).mappings().all()
    assert [one["line_id"] for one in changes] == [row["line_id"]]
    assert (changes[0]["verdict_before"], changes[0]["verdict"]) == (row["verdict"], "insufficient")


def links(page, pattern):
    return [unescape(one) for one in re.findall(rf'href="({pattern})"', page)]


def test_from_a_list_to_a_line_on_to_the_next_and_back(console):
    address = "/lines?" + urlencode(
        {"from": "2026-03-01", "to": "2026-03-31", "sort": "amount", "order": "asc"}
    )
    _, page = console.get(address)
    opened = links(page, r"/lines/[^\"]*list=[^\"]*")
    _, line = console.get(opened[1])
    assert links(line, r"/lines\?[^\"]*") == [address]
    before, after = [one for one in links(line, r"/lines/L[^\"]*list=[^\"]*") if "lang=" not in one]
    assert [one.split("&list=")[0] for one in (before, after)] == [
        opened[0].split("&list=")[0],
        opened[2].split("&list=")[0],
    ]
    assert console.get(after)[0] == 200
    assert 'aria-sort="ascending"' in page


def test_everything_in_the_address_is_kept_by_the_language_and_told_when_wrong(console):
    _, page = console.get("/lines?from=2026-03-01&to=2026-03-31&institution=H001&institution=H002&group=ward")
    (other,) = links(page, r"/lines\?[^\"]*lang=en")
    assert other.count("institution=") == 2
    assert "group=ward" in other
    for language, text in (
        ("zh", "“起始日”填写有误：2026-02-30"),
        ("en", '"From" cannot be read: 2026-02-30'),
    ):
        status, page = console.get(f"/lines?from=2026-02-30&lang={language}")
        assert status == 400
        assert text in unescape(page)
        assert 'aria-invalid="true" aria-describedby="wrong-from"' in page
    _, wrong = read("lines", [("sort", "salary"), ("after", "!!"), ("month", "2026-13")])
    assert [one.field for one in wrong] == ["month", "sort", "after"]


def test_a_list_is_saved_under_a_name_and_taken_away(console):
    query = "from=2026-03-01&to=2026-03-31&institution=H001"
    form = {"kind": "lines", "name": "  H001 <b>三月 ", "query": query + "&lang=en&nonsense=1"}
    _, page, address = console.ask("/views", form)
    assert address == f"/lines?{query}"  # POST, then GET: a reload sends nothing
    assert "H001 &lt;b&gt;三月" in page.decode()
    refused = console.ask("/views", form, {"Sec-Fetch-Site": "cross-site"})[0]
    assert refused == 403
    with console.database.reading() as connection:
        view = connection.execute(sa.select(schema.saved_views.c.view_id)).scalar_one()
    _, page, _ = console.ask("/views", {"kind": "lines", "view": view, "remove": "1"})
    assert "三月" not in page.decode()


def test_files_hold_what_the_page_shows(console):
    query = "from=2026-03-01&to=2026-03-31&verdict=contradicted&sort=amount&order=desc&lang=en"
    rows = list(csv.reader(io.StringIO(console.ask(f"/lines.csv?{query}")[1].decode("utf-8-sig"))))
    sheet = load_workbook(io.BytesIO(console.ask(f"/lines.xlsx?{query}")[1])).active
    written = [[cell.value for cell in row] for row in sheet.rows]
    heads = rows[0]
    assert heads[:3] == ["Verdict", "Reason", "Claim line"]
    line = heads.index("Claim line")
    assert [row[line] for row in rows] == [row[line] for row in written]
    amounts = [float(row[heads.index("Amount")]) for row in rows[1:]]
    assert amounts == sorted(amounts, reverse=True) != []
    grouped = list(
        csv.reader(io.StringIO(console.ask(f"/lines.csv?{query}&group=ward")[1].decode("utf-8-sig")))
    )
    assert grouped[0][0] == "Group"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "　=1", " =1", "\r=1", "|x", "%0"])
def test_no_text_becomes_a_formula(text):
    assert as_text(text).startswith("'")
    assert as_text(-5) == "-5"
    assert as_text("P001") == "P001"


def test_a_month_of_a_person_and_an_institution(console):
    person = rows_of(console)[0]["person_id"]
    own = [row for row in rows_of(console, person_id=person) if row["service_day"] >= "2026-03"]
    status, page = console.get(f"/persons/{person}?month=2026-03&lang=en")
    assert status == 200
    assert page.count('class="open id"') == len({row["line_id"] for row in own})
    assert console.get("/institutions/H002?lang=zh")[0] == 200
    for nobody in ("/persons/nobody", "/institutions/nowhere", "/days/2020-01-01"):
        assert console.get(nobody)[0] == 404


def test_the_first_page_shows_what_late_evidence_changed(console):
    row = rows_of(console)[0]
    told = {
        name: row[name] for name in ("institution_id", "line_id", "service_day", "person_id", "amount_fen")
    }
    told |= {"run_id": "late", "verdict": "supported", "reason": "seen", "changed_at": to_us(utc_now())}
    told |= {"verdict_before": "contradicted", "reason_before": "no_session"}
    with console.database.writing() as connection:
        connection.execute(sa.insert(schema.verdict_changes).values(**told))
    _, page = console.get("/?lang=en")
    assert page.count(row["line_id"]) == 2
    assert "No verdict has changed" not in page
    assert 'href="/lines?from=2026-03-31&amp;to=2026-03-31&amp;verdict=contradicted"' in page


def test_signing_in_keeps_the_whole_address(console, tmp_path):
    token = tmp_path / "token"
    token.write_text("correct horse battery staple")
    told = {"data_dir": str(console.settings.data_dir), "port": 0, "access_token_file": str(token)}
    server = WebServer(build_app(console.database, make_settings(told), utc_now, Metrics()), "127.0.0.1", 0)
    server.start()
    try:
        other = type(console).__new__(type(console))
        other.server = server
        _, page = other.get("/lines?from=2026-03-01&to=2026-03-31&sort=amount&order=desc")
        wanted = unescape(re.search(r'name="next" value="([^"]*)"', page).group(1))
        assert wanted == "/lines?from=2026-03-01&to=2026-03-31&sort=amount&order=desc"
        again = other.ask("/sign-in", {"token": "wrong", "next": wanted})[1].decode()
        assert "sort=amount" in again
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/quarantine?page=0", 400, "页码"),
        ("/days/2026-02-30", 400, "日期"),
        ("/lines/L?institution=" + "x" * 300, 400, "机构"),
        ("/nowhere", 404, ""),
        ("/views", 405, ""),
    ],
)
def test_a_wrong_address_is_answered_by_a_page_in_the_visitors_language(console, path, status, field):
    told, page = console.get(path)
    assert told == status
    assert '<html lang="zh-CN">' in page
    assert field in page
    status, page = console.get(f"{path}{'&' if '?' in path else '?'}lang=en")
    assert '<html lang="en">' in page


def test_an_institutions_machines_and_coverage_are_a_page_and_a_part_of_its_own(console):
    _, page = console.get("/institutions/H001?month=2026-03&lang=en")
    (address,) = re.findall(r'<a href="(/pictures[^"]*)"', page)
    status, whole = console.get(unescape(address))
    assert (status, whole.count("<figure")) == (200, 4)
    _, part = console.get(unescape(address) + "&part=1")
    assert part.count("<figure") == 4
    assert "<html" not in part
    assert console.get("/pictures?institution=H001&month=2026-13")[0] == 404
    assert console.get("/pictures?institution=H999&month=2026-03")[0] == 404
