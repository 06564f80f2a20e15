"""Self-corrections: a line counts as returned only with proof, and only before the bureau has sent it."""

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from parts.cases import PEOPLE
from parts.cases_store import lay

from renzheng.central.cases import lists, reading
from renzheng.central.cases.corrections import Corrections
from renzheng.central.cases.doubts import State
from renzheng.central.cases.errors import BodyError, MayNotError, NotFoundError, StepRefusedError
from renzheng.central.cases.guards import Body
from renzheng.central.cases.keeping import Cases
from renzheng.central.cases.withheld import Line, Withheld
from renzheng.central.draw import frame
from renzheng.central.draw.risk import Risk, Weighting, countable, remaining_permille
from renzheng.central.main import Central
from renzheng.central.settings import make_settings
from renzheng.contracts import keys
from renzheng.rules.pack import Pack

NOW = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)
HEAD = (
    "line_id,institution_id,visit_id,settlement_id,person_id,visit_type,item_code,item_name,service_time,quantity,"
    "amount,reverses_line_id,doctor_id,department,traceability_code,fund_amount\n"
)
OFFICE, FINANCE, AUDITOR = PEOPLE["office"], PEOPLE["finance"], PEOPLE["auditor"]


@pytest.fixture
def bureau(database, tmp_path):
    lay(database, tmp_path)
    key = keys.generate_key()
    cases = Cases(database, lambda: key, lambda: Pack({}, {}, {}), ZoneInfo("Asia/Shanghai"), lambda: NOW)
    tables = tmp_path / "tables"
    tables.mkdir()
    found = Corrections(database, cases, tables, lambda: NOW)
    found.cases, found.database, found.tables = cases, database, tables
    return found


def bill(bureau, *reversals):
    """Write claims: two lines, and what takes them back by id and amount."""
    rows = [("L1", "400.00", ""), ("L2", "450.00", "")]
    rows += [(f"R{number}", amount, line) for number, (line, amount) in enumerate(reversals)]
    text = "".join(
        f"{line},H1,V,,P1,outpatient,HD,血液透析,2026-03-03T12:00:00+08:00,"
        f"{-1 if of else 1},{amount},{of},,,,\n"
        for line, amount, of in rows
    )
    (bureau.tables / "claim_lines.csv").write_text(HEAD + text, encoding="utf-8")


def drafted(bureau):
    case = bureau.cases.draft(AUDITOR, "2026-03", "H1").cases[0]
    with bureau.database.reading() as connection:
        return case, {
            one.lines[0].line_id: one for one in lists.doubts_seen(connection, AUDITOR, case.case_id)
        }


def returned(bureau):
    with bureau.database.reading() as connection:
        return reading.returned_lines(connection), frame._returned(connection, NOW)


def test_a_declaration_alone_counts_for_nothing_and_a_reversal_in_full_does(bureau):
    bureau.declare(OFFICE, ["L2"], "重复收费")
    bill(bureau, ("L2", "-449.99"))
    assert bureau.look_for_reversals() == 0
    assert returned(bureau) == (set(), {})
    bill(bureau, ("L2", "-449.99"), ("L2", "-0.01"))
    assert bureau.look_for_reversals() == 1
    assert returned(bureau) == ({("H1", "L2")}, {"H1": 45_000})
    assert "L2" not in drafted(bureau)[1]
    assert bureau.look_for_reversals() == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_central_looks_for_reversals_by_itself_every_six_hours(bureau, tmp_path):
    settings = make_settings({"data_dir": str(tmp_path)})
    parts = {"settings": settings, "_own_database": bureau.database, "_key": keys.generate_key()}
    worker = Central._make_reversals(SimpleNamespace(**parts, clock=lambda: NOW))
    assert (worker.name, worker._every_seconds) == ("reversals", 6 * 3600)
    _, doubts = drafted(bureau)
    worker._turn()
    bureau.declare(OFFICE, ["L2"], "重复收费")
    bill(bureau, ("L2", "-450.00"))
    worker._turn()
    assert returned(bureau)[0] == {("H1", "L2")}
    with bureau.database.reading() as connection:
        after = reading.doubt_of(connection, AUDITOR, doubts["L2"].doubt_id)
    assert (after.state, "自查退回" in after.ended_reason) == (State.DROPPED, True)


def test_a_receipt_of_finance_proves_and_the_drafted_doubt_is_dropped(bureau):
    _, doubts = drafted(bureau)
    (correction,) = bureau.declare(OFFICE, ["L2"], "重复收费")
    with pytest.raises(MayNotError):
        bureau.record_receipt(OFFICE, correction, "R-1", 45_000)
    with pytest.raises(BodyError):
        bureau.record_receipt(FINANCE, correction, "R-1", 44_999)
    with pytest.raises(BodyError):
        bureau.record_receipt(FINANCE, correction, " ", 45_000)
    with pytest.raises(StepRefusedError, match="tie"):
        bureau.record_receipt(replace(FINANCE, ties=frozenset({"H1"})), correction, "R-1", 45_000)
    bureau.record_receipt(FINANCE, correction, "R-1", 45_000)
    with bureau.database.reading() as connection:
        assert reading.doubt_of(connection, AUDITOR, doubts["L2"].doubt_id).state is State.DROPPED
    with pytest.raises(StepRefusedError, match="already"):
        bureau.record_receipt(FINANCE, correction, "R-1", 45_000)


def test_what_the_bureau_has_sent_is_no_self_correction(bureau):
    (correction,) = bureau.declare(OFFICE, ["L2"], "重复收费")
    case, doubts = drafted(bureau)
    for doubt in doubts.values():
        bureau.cases.act(AUDITOR, doubt.doubt_id, "confirm", Body())
    bureau.cases.issue(AUDITOR, case.case_id)
    bill(bureau, ("L2", "-450.00"))
    assert bureau.look_for_reversals() == 0
    for step in (
        lambda: bureau.record_receipt(FINANCE, correction, "R-1", 45_000),
        lambda: bureau.declare(OFFICE, ["L1"], "也是重复"),
    ):
        with pytest.raises(StepRefusedError) as refused:
            step()
        assert refused.value.guard == "issued_before"
    assert returned(bureau) == (set(), {})


def test_only_ones_own_contradicted_lines_are_declared_once(bureau):
    for who, line, error in (
        (AUDITOR, "L2", MayNotError), (replace(OFFICE, institutions=frozenset({"H2"})), "L2", NotFoundError),
        (OFFICE, "L3", StepRefusedError), (OFFICE, "none", NotFoundError),
    ):  # fmt: skip
        with pytest.raises(error):
            bureau.declare(who, [line], "重复收费")
    bureau.declare(OFFICE, ["L2"], "重复收费")
    for lines, text, error in (
        (["L2"], "again", StepRefusedError),
        ([], "x", BodyError),
        (["L1"], " ", BodyError),
    ):
        with pytest.raises(error):
            bureau.declare(OFFICE, lines, text)


def test_what_was_never_submitted_counts_for_half_and_only_while_that_holds(bureau):
    now = [NOW]
    shelf = Withheld(bureau.database, bureau.tables, ZoneInfo("Asia/Shanghai"), lambda: now[0])
    line = Line("H1", "L9", "V", "HD", "2026-03-03", 3, 40_000, "knowledge-pair", "hash")

    def counted():
        with bureau.database.reading() as connection:
            return frame._withheld(connection, now[0])

    assert (shelf.take_back(OFFICE, [line], "重复"), shelf.take_back(OFFICE, [line], "重复")) == (1, 0)
    for who, taken, error in (
        (AUDITOR, line, MayNotError), (replace(OFFICE, institutions=frozenset({"H2"})), line, NotFoundError),
        (OFFICE, replace(line, line_id="L1"), StepRefusedError),
    ):  # fmt: skip
        with pytest.raises(error):
            shelf.take_back(who, [taken], "重复")
    bill(bureau)  # two of the three lines of that item on that day: one fewer than the file had
    assert (shelf.look(), counted()) == (0, {})  # the month may still be submitted
    now[0] = dt.datetime(2026, 4, 17, tzinfo=dt.UTC)
    assert (shelf.look(), counted()) == (1, {"H1": 40_000})
    assert returned(bureau)[0] == set()  # a line that comes all the same may be drafted
    told = Weighting()
    assert countable(40_000, 100_000, told) == 500
    assert remaining_permille(Risk(100_000, returned_fen=500), told) == 750
    again = (bureau.tables / "claim_lines.csv").read_text(encoding="utf-8")
    (bureau.tables / "claim_lines.csv").write_text(
        again + again.splitlines()[1].replace("L1", "B-17") + "\n", encoding="utf-8"
    )
    assert (shelf.look(), counted()) == (0, {})  # submitted after all, under another id
