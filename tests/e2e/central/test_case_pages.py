"""The whole loop of a case in a real Chromium: auditor, institutions, reviewers, panel, approver, finance.

One server and one browser; each person has a context of their own. Pictures go to `artefacts/console`.
"""

import datetime as dt
import os
import re
from zlib import crc32

import pytest
from parts import pictures
from parts.browser import chromium_page, uncomplaining
from parts.case_console import case_console
from parts.check_site import PAIR
from parts.chromium import axe_of

from renzheng.central.checks.asked import CheckAsked
from renzheng.central.checks.keeping import Answer
from renzheng.central.checks.site import checks_of
from renzheng.central.store.times import to_us
from renzheng.contracts import keys
from renzheng.rules.knowledge.packfile import KnowledgePack, write_pack

pytestmark = pytest.mark.chromium
LONG = os.environ.get("FAULTS") == "long"
FORMS = (("zh", "desk", 1440, 900), ("en", "phone", 390, 844))
HOSPITALS, LINES = 20, 15
FEWEST_ACTS = 4
SEE_OTHER = 303
CHECK_MS = 600_000  # a niced process audits a month; the server gives it a quarter of an hour


class People:
    """Everybody at their own browser window.

    Args:
        console: the served console.
        browser: the one browser.
    """

    def __init__(self, console, browser):
        self.console, self.browser, self.pages = console, browser, {}

    def __getitem__(self, name):
        if name not in self.pages:
            context = self.browser.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN")
            context.add_cookies([self.console.cookie(name)])
            self.pages[name] = context.new_page()
            self.pages[name].set_default_timeout(60_000)
        return self.pages[name]

    def open(self, name, path):
        page = self[name]
        page.goto(self.console.url + path)
        return page

    def send(self, name, path, act, **fields):
        """Fill in the form of a step and send it; return the page that comes."""
        page = self.open(name, path)
        form = page.locator(f"#act-{act}")
        for field, value in fields.items():
            control = form.locator(f"[name={field}]")
            if control.first.get_attribute("type") == "radio":
                form.locator(f"[name={field}][value={value}]").check()
            elif control.first.get_attribute("type") == "checkbox":
                control.check()
            elif control.first.get_attribute("type") == "file":
                control.set_input_files(value)
            else:
                control.fill(value)
        with page.expect_navigation():
            form.locator("button").click()
        return page

    def post(self, name, path, **fields):
        """Send a form without opening its page; return the address to which it leads."""
        answer = self[name].context.request.post(
            self.console.url + path, form=fields, headers={"Origin": self.console.url}, max_redirects=0
        )
        assert answer.status == SEE_OTHER, re.sub(r"<[^>]+>", " ", answer.text())[:3000]
        path = answer.headers["location"].split("?")[0]
        assert path != "/sign-in", f"the session of {name} is over"
        return path


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with (
        case_console(tmp_path_factory.mktemp("cases"), HOSPITALS, LINES) as console,
        chromium_page() as page,
    ):
        yield People(console, page.context.browser)


def looked_at(page, name):
    """See that a page fits and is clean by axe: in Chinese at a desk, in English on a telephone, or both."""
    address = page.url
    for language, size, width, height in FORMS if LONG else [FORMS[crc32(name.encode()) % len(FORMS)]]:
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{address}{'&' if '?' in address else '?'}lang={language}")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=pictures.folder("console") / f"cases-{name}-{size}-{language}.png")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
        assert page.locator("h1").count() == 1, name
        found = axe_of(page)["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], name
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{address}{'&' if '?' in address else '?'}lang=zh")


def test_from_the_month_to_issued_in_four_acts(people):
    page, acts = people["lin"], []

    def press(selector):
        acts.append(selector)
        with page.expect_navigation():
            page.click(selector)

    with uncomplaining(page):
        page.goto(f"{people.console.url}/lines")
        press("nav a[href='/cases']")
        press("form[action^='/cases/draft'] button")
        assert page.locator("h1").inner_text().startswith("疑点清单 300 个")
        press("button[value='confirm:all']")
        press(".next button")
    assert "已下发 20 个案卷" in page.locator(".notice.supported").inner_text()
    assert len(acts) == FEWEST_ACTS
    looked_at(page, "issued")


def test_lists_by_keys_groups_and_files(people):
    page = people.open("lin", "/doubts?state=issued")
    page.wait_for_selector("[data-side] .head h2")
    first = page.locator("[data-side] .head h2").inner_text()
    page.locator("#list").focus()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.wait_for_function(
        "was => document.querySelector('[data-side] .head h2').textContent !== was", arg=first
    )
    page.keyboard.press("a")
    page.keyboard.press("Space")
    assert page.locator("[name=doubt]:checked").count() == 1
    looked_at(page, "list")
    page = people.open("lin", "/doubts?state=issued&group=shape")
    with page.expect_navigation():
        page.click("a.open >> nth=0")
    assert page.locator("h1").inner_text().startswith("疑点清单 100 个")
    with page.expect_download() as kept:
        page.click("a[href^='/doubts.csv']")
    lines = kept.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 101
    assert lines[0].startswith("把握,状态,机构")


def test_what_is_referred_becomes_a_penalty(people):
    doubt = doubts_of(people.open("lin", "/doubts?institution=H04"))[0]
    people.post("lin", f"{doubt}/refer", to="enforcement", reason="多次")
    page = people.open("lin", doubt)
    page.locator("#act-receipt").evaluate("form => form.parentElement.open = true")
    page.fill("#act-receipt [name=text]", "收字12号")
    with page.expect_navigation():
        page.click("#act-receipt button")
    page.goto(people.console.url + doubt)
    assert "收字12号" in page.locator("main").inner_text()
    with page.expect_navigation():
        page.click("a[href^='/penalties?doubt=']")
    looked_at(page, "penalty-open")
    with page.expect_navigation():
        page.click("#act-open button")
    path = re.sub(r"[?].*", "", page.url).removeprefix(people.console.url)
    people.post("lin", f"{path}/file", officer_1="lin", certificate_1="1", officer_2="gao", certificate_2="2")
    people.post("lin", f"{path}/report")
    people.post("xu", f"{path}/review", qualified="1", reason="事实清楚")
    looked_at(people.open("lin", path), "penalty-notify")
    page = people.send("lin", path, "notify", degree="light", amount="1.00", reason="初犯")
    assert "不在所选档次的幅度内" in page.locator("#refused").inner_text()
    page.fill("#act-notify [name=amount]", "400.00")
    with page.expect_navigation():
        page.click("#act-notify button")
    assert "404" in people.open("office-1", path).title(), "another institution's"
    assert people.open("office-1", "/penalties").locator("a.open").count() == 0
    people.post("office-4", f"{path}/state", text="放弃")
    looked_at(people.open("office-4", path), "penalty-office")
    people.post("he", f"{path}/decide", amount="400.00", reason="从轻")
    people.post("lin", f"{path}/deliver", to="in_person")
    people.post("lin", f"{path}/close", paid="1")
    assert "结案" in people.open("lin", path).locator(".head .chip").inner_text()


def test_a_patient_is_called_by_somebody_else_than_whoever_asks(people):
    call = f"/calls/{doubts_of(people.open('lin', '/doubts?institution=H05'))[0].rpartition('/')[2]}"
    people.post("lin", call, reason="账上有、签到没有")
    looked_at(people.open("xu", call), "call")
    with people["xu"].expect_navigation():
        people["xu"].click("button[value=had]")
    assert "身边有人时的回答不作数" in people["xu"].locator("#refused").inner_text()
    people["xu"].check("[name=alone]")
    with people["xu"].expect_navigation():
        people["xu"].click("button[value=had]")
    assert people["xu"].locator("a.open").count() == 0
    assert "404" in people.open("office-1", "/calls").title()


def test_what_an_institution_returned_is_declared_and_proven(people):
    line = people.console.undrafted("H04")
    people.post("office-4", "/self-corrections", lines=line, text="重复收费")
    looked_at(people.open("office-4", "/self-corrections"), "corrections-office")
    assert line not in people.open("office-1", "/self-corrections").locator("main").inner_text()
    page = people.open("qian", "/self-corrections")
    page.fill("[name=reference]", "票 1")
    page.fill("[name=amount]", "1.00")
    with page.expect_navigation():
        page.click("form.row button")
    assert "不少于" in page.locator("#refused").inner_text()
    looked_at(people.open("qian", "/self-corrections"), "corrections-finance")


def test_an_approver_restores_a_rule_that_lost_power(people):
    people.console.weaken("line-haemodialysis", "3")
    looked_at(people.open("he", "/powers"), "powers")
    assert people.open("lin", "/powers").locator("form.step").count() == 0
    people.post("he", "/powers", rule="line-haemodialysis", rule_version="3", reason="数据已更正")
    assert "全部效力" in people.open("he", "/powers").locator(".chip").first.inner_text()


def case_of(people, name):
    """Open an institution's only case; return its address."""
    page = people.open(name, "/cases")
    with page.expect_navigation():
        page.click("a.open")
    return re.sub(r"\?.*", "", page.url).removeprefix(people.console.url)


def doubts_of(page):
    return [one.get_attribute("href").split("?")[0] for one in page.locator("a.open").all()]


def test_two_institutions_answer_and_eight_people_decide(people, tmp_path):
    first, second = (case_of(people, name) for name in ("office-1", "office-2"))
    contested, cleared, medical = receive(people, first, second)[:3]
    hand_in(people, contested, tmp_path)
    for one in (contested, cleared, medical):
        people.send("office-1", one, "submit", position="contest", text="患者在院，见附件")
    accept_a_kind(people)
    review(people, contested, cleared, medical)
    decide(people, contested, cleared)
    sit(people, first, medical)
    pay(people, contested)
    run_late(people)
    looked_at(people.open("lin", "/ledger"), "ledger")
    looked_at(people.open("office-1", "/cases"), "inbox")
    page = people.open("office-1", first)
    with page.expect_download() as kept:
        page.click("a[href$='/bundle']")
    assert kept.value.path().read_bytes().startswith(b"PK")


def receive(people, first, second):
    """Open the cases of two institutions by receiving them; return the first one's doubts."""
    page = people["office-1"]
    assert doubts_of(page) == [], "nothing is seen before the receipt"
    looked_at(page, "receive")
    with page.expect_navigation():
        page.click(".receive button")
    looked_at(page, "case-office")
    doubts = doubts_of(page)
    assert len(doubts) == LINES
    assert "404" in people.open("office-2", doubts[0]).title()
    people.open("office-2", second).click(".receive button")
    return doubts


def hand_in(people, doubt, folder):
    """Assign a doubt to a doctor, who sees that one only and hands in a sheet."""
    people.send("office-1", doubt, "assign")
    assert doubts_of(people.open("dr-wu", "/doubts?state=issued&state=assigned")) == [doubt]
    sheet = folder / "sheet.pdf"
    sheet.write_bytes(b"%PDF-1.7 sheet of machine 3")
    people.send("dr-wu", doubt, "answer", text="当日三号机，见运行记录", file_1=str(sheet))
    page = people.open("office-1", doubt)
    assert page.locator("a[href^='/api/v1/attachments/']").count() == 1
    looked_at(page, "doubt-office")


def accept_a_kind(people):
    """Answer all doubts of one kind with one form."""
    page = people.open("office-2", "/doubts?state=issued&group=shape")
    page.click("a.open >> nth=0")
    page.select_option("[name=position]", "accept")
    with page.expect_navigation():
        page.click("button[value='submit:all']")
    assert "已办 5 个" in page.locator(".notice.supported").inner_text()


def review(people, contested, cleared, medical):
    """Review three doubts; the second review is not for whoever did the first."""
    for one, decision in ((contested, "uphold"), (cleared, "clear"), (medical, "uphold")):
        people.send("gao", one, "review", decision=decision, reason="已核对设备记录")
    page = people.open("gao", contested)
    assert "须由另一个人办理" in page.locator(".barred").inner_text()
    people.send("xu", contested, "review", decision="partly", amount="300.00", reason="其中一段有记录")
    people.send("xu", medical, "review", decision="uphold", reason="转合议", medical="1")


def decide(people, contested, cleared):
    """Decide finally: of two at once the second is told, and keeps their words; nobody raises an amount."""
    other = people.open("he", contested).context.new_page()
    other.goto(people.console.url + contested)
    people.send("he", contested, "finalise", amount="300.00")
    other.fill("#act-finalise [name=amount]", "250.00")
    with other.expect_navigation():
        other.click("#act-finalise button")
    assert "别人刚刚更改过" in other.locator("#refused").inner_text()
    other.close()
    page = people.send("he", cleared, "finalise", amount="1.00")
    assert "最低金额" in page.locator("#refused").inner_text()
    assert page.locator("#act-finalise [name=amount]").input_value() == "1.00"
    people.send("he", cleared, "finalise", amount="0")


def sit(people, case, medical):
    """Seat a panel and vote: an even one is refused, and no vote is seen before all are in."""
    page = people.open("lin", case)
    for name in ("expert-1", "expert-2"):
        page.check(f"[name=member][value={name}]")
    with page.expect_navigation():
        page.click("form.panel button")
    assert "三人以上的单数" in page.locator("#refused").inner_text()
    assert page.is_checked("[name=member][value=expert-1]"), "what was chosen is still there"
    looked_at(people.open("lin", case), "case-panel")
    for name in ("expert-1", "expert-2", "expert-3"):
        people["lin"].check(f"[name=member][value={name}]")
    with people["lin"].expect_navigation():
        people["lin"].click("form.panel button")
    people.send("expert-1", medical, "vote", decision="uphold", reason="指征不符")
    assert "指征不符" not in people.open("expert-2", medical).locator("main").inner_text()
    for name in ("expert-2", "expert-3"):
        people.send(name, medical, "vote", decision="clear", reason="病情变化")
    people.send("he", medical, "finalise", amount="0")


def pay(people, contested):
    """Deduct an amount, and return a part of it."""
    people.send("qian", contested, "deduct", period="2026-05")
    page = people.send("qian", contested, "return", amount="50.00", reason="补充记录成立")
    assert "退回 ¥50.00" in page.locator("main").inner_text()
    looked_at(page, "doubt-returned")


def run_late(people):
    """Let the date pass: what was received is overdue, and what was not is refused."""
    people.console.now += dt.timedelta(days=40)
    for name in ("lin", "office-1"):
        people[name].context.add_cookies([people.console.cookie(name)])
    for hospital, told in (("H02", "已办 10 个"), ("H03", "没有机构签收的证明")):
        page = people.open("lin", f"/doubts?late=yes&institution={hospital}")
        with page.expect_navigation():
            page.click("button[value='overdue:all']")
        assert told in page.locator(".notice.supported, [role=alert]").first.inner_text()


def test_a_step_asks_for_the_password_again_and_comes_back(people):
    page = people.open("lin", "/cases")
    people.console.now += dt.timedelta(minutes=6)
    page.reload()
    assert page.locator("form[action^='/cases/draft'] button").is_disabled()
    page.click(".locked a")
    page.wait_for_url("**/confirm?next=/cases")


MONTH = (
    "line_id,institution_id,visit_id,person_id,visit_type,item_code,item_name,service_time,quantity,amount,"
    "reverses_line_id\n"
    "M1,H01,V1,P1,outpatient,003110000100000,血液灌流,2026-03-04T10:00:00+08:00,1,700,\n"
    "M2,H01,V1,P1,outpatient,003110000060000,血液透析,2026-03-04T15:00:00+08:00,1,400,\n"
)


def test_an_institution_checks_its_month_and_takes_a_line_back(people):
    people["office-1"].context.add_cookies([people.console.cookie("office-1")])  # who they are is asked anew
    page = people.open("office-1", "/self-check")
    page.locator("[name=format]").select_option("csv")
    with uncomplaining(page):
        month = {"name": "三月.csv", "mimeType": "text/csv", "buffer": MONTH.encode()}
        page.set_input_files("[name=files]", month)
        with page.expect_navigation(timeout=CHECK_MS):
            page.click("#act-check button", timeout=CHECK_MS)
        assert "¥400.00" in page.locator("main").inner_text()
        looked_at(page, "self-check")
        page.check("[name=line]")
        page.fill("[name=text]", "同日重复收费")
        with page.expect_navigation():
            page.click("#act-take-back button")
    assert "已登记撤回 1 条" in page.locator(".notice.supported").inner_text()
    with page.expect_download() as kept:
        page.click("a[href$='.csv']")
    assert "已撤回" in kept.value.path().read_text(encoding="utf-8-sig")
    people.open("office-1", "/self-check")
    looked_at(page, "self-checks")


def test_what_became_of_advices_is_a_page(people):
    settings, now = people.console.settings, people.console.now
    key = keys.load_private_key(settings.key_file.read_bytes())
    settings.knowledge_dir.mkdir(parents=True)
    write_pack(KnowledgePack((PAIR,)), settings.knowledge_dir / "national.knowledge", key)
    items = [
        {"id": code, "code": code, "amount": 100, "at": now.isoformat(), "department": "肾内科"}
        for code in PAIR.items
    ]
    asked = {
        "stage": "before", "institution_id": "H01", "patient": {"person_id": "P1"},
        "encounter": {"visit_id": "V1"}, "items": items,
    }  # fmt: skip
    checks = checks_of(settings, lambda: now)
    told = checks.check(CheckAsked.model_validate(asked), "his")
    checks.answer([Answer(told["advices"][0]["id"], "followed", "")], "his", to_us(now))
    page = people.open("lin", "/reminders?by=department")
    cells = page.locator("tbody tr").first.inner_text().split()
    assert cells[:5] == ["H01", "肾内科", "1", "1", "100.0"]
    looked_at(page, "reminders")
    people.open("lin", "/reminders?by=rule")
    looked_at(page, "reminders-by-rule")
