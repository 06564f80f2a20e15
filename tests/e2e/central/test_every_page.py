"""Every page of the console, as each role sees it: three widths, both languages, links followed to one.

Long: some two thousand views. The pictures go to `artefacts/pages`.
"""

import re

import pytest
from parts import chromium, pictures
from parts.browser import chromium_page
from parts.case_console import PEOPLE, case_console

from renzheng.central.access import accounts
from renzheng.central.access.accounts import New
from renzheng.central.access.roles import Role

pytestmark = [pytest.mark.chromium, pytest.mark.long]
SIZES = {"desk": (1440, 900), "phone": (390, 844), "zoomed": (320, 640)}
LOOKED_AT_BY_AXE = {("desk", "zh"), ("phone", "en")}
FIRST = (
    "/", "/lines", "/lines?group=institution", "/lines?from=yesterday", "/findings", "/own/lines", "/cases",
    "/problems", "/rounds", "/rate", "/reminders", "/attempts", "/inpatients", "/devices", "/quarantine",
    "/data", "/data/rejects", "/runs", "/privacy", "/privacy/requests", "/privacy/retention",
    "/privacy/filing", "/crops", "/access/accounts", "/access/log", "/access/me", "/access/roles",
    "/access/emergencies", "/access/factors", "/doubts", "/ledger", "/penalties", "/self-corrections",
    "/powers", "/calls", "/summonses", "/find-person", "/nowhere",
)  # fmt: skip
NO_PAGE = re.compile(
    r"\.(csv|xlsx|json|pdf|docx|svg)|/bundle|report\.html|/static|/sign-out|certificate|/letters"
)
OF_ONE_KIND = re.compile(
    r"/(cases|doubts|findings|lines|persons|institutions|devices|rounds|runs|rate|penalties|self-corrections|calls"
    r"|summonses|withdrawals|days)/[^/?]+"
)
MORE = {"admin": Role.ADMINISTRATOR, "privacy": Role.DATA_PROTECTION, "draws": Role.DRAW_OFFICER}
LOOK = """() => ({
    heads: document.querySelectorAll('h1').length,
    wider: document.documentElement.scrollWidth - window.innerWidth,
    broken: [...document.querySelectorAll('.id')].filter(one => one.getClientRects().length > 1).length,
    text: document.querySelector('main').innerText,
})"""


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    with case_console(tmp_path_factory.mktemp("pages"), hospitals=3, lines=12) as found:
        with found.database.writing() as connection:
            for name, role in MORE.items():
                accounts.add(connection, New(name, frozenset({role})), "test", found.now)
        yield found


@pytest.fixture(scope="module")
def page():
    with chromium_page() as page:
        yield page


def kind_of(path):
    shape, _, asked = path.partition("?")
    return OF_ONE_KIND.sub(r"/\1/one", shape) + (
        "?group" if "group=" in asked else "?wrong" if "=y" in asked else ""
    )


def look(page, url, path, size, language):
    """Open a page in one form; return its status and what is wrong with it."""
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    status = page.goto(f"{url}{path}{'&' if '?' in path else '?'}lang={language}").status
    seen = page.evaluate(LOOK)
    own_words = r"\{[\"'][a-z_]+[\"']:|\b1[67]\d{8}(\d{6})?\b|\bNone\b"
    wrong = {
        "no answer": status >= 500,
        "headings": seen["heads"] != 1,
        "sideways": seen["wider"] > 0,
        "broken ids": seen["broken"] > 0,
        "the program's own words": re.search(own_words, seen["text"]),
    }
    found = [name for name, is_so in wrong.items() if is_so]
    if (size, language) in LOOKED_AT_BY_AXE:
        found += [one["id"] for one in chromium.axe_of(page)["violations"]]
    return status, found


@pytest.mark.parametrize("name", ["lin", "gao", "he", "qian", "office-1", "dr-wu", "expert-1", *MORE])
def test_every_page_that_a_role_reaches(console, page, name):
    page.context.clear_cookies()
    page.context.add_cookies([console.cookie(name)])
    role = MORE[name] if name in MORE else PEOPLE[name][0]
    waiting, done, wrong = list(FIRST), set(), {}
    while waiting:
        path = waiting.pop(0)
        kind = kind_of(path)
        if kind in done:
            continue
        done.add(kind)
        for size in SIZES:
            for language in ("zh", "en"):
                status, found = look(page, console.url, path, size, language)
                if found:
                    wrong[f"{path} {size} {language}"] = found
                picture = re.sub(r"[^a-z0-9]+", "-", f"{role.value}{kind}-{size}-{language}".lower())
                page.screenshot(path=pictures.folder("pages") / f"{picture}.png")
        if status == 200:
            links = page.eval_on_selector_all(
                "a[href^='/']", "all => all.map(one => one.getAttribute('href'))"
            )
            waiting += [one.split("#")[0] for one in links if not NO_PAGE.search(one) and "lang=" not in one]
    assert wrong == {}
    assert len(done) >= len({kind_of(path) for path in FIRST})
