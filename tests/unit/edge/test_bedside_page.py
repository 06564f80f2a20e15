"""The page and the device say the same things, and every word stands in every catalogue."""

import json
import re
from datetime import timedelta

import pytest
from parts.bedside import CLOSES, CODE, DUE, make_sheet

from renzheng.contracts.events import SpotCheckResult
from renzheng.contracts.rosters import LeaveKind
from renzheng.contracts.rounds import seal
from renzheng.edge.bedside import answering, app
from renzheng.edge.bedside.rounds import SheetState, sheet_id, standing
from renzheng.models.quality import Guidance

CATALOGUES = {
    file.stem: json.loads(file.read_text(encoding="utf-8")) for file in (app.PAGE / "catalogue").iterdir()
}
SCRIPT = (app.PAGE / "bedside.js").read_text(encoding="utf-8")


def listed(name):
    """An array constant of the page's script."""
    return re.findall(r'"([a-z_]+)"', re.search(rf"{name}:? ?=? (\[[^\]]*\])", SCRIPT).group(1))


def test_chinese_and_english_say_the_same_things():
    assert set(CATALOGUES) == {"zh", "en"}
    assert set(CATALOGUES["zh"]) == set(CATALOGUES["en"])
    for key, words in CATALOGUES["zh"].items():
        assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", CATALOGUES["en"][key])), key


@pytest.mark.parametrize("language", CATALOGUES)
def test_no_word_is_missing_or_empty(language):
    words = CATALOGUES[language]
    needed = {f"guidance.{code}" for code in Guidance} | {"guidance.unreadable_frame"}
    needed |= {f"choice.{choice.value}" for choice in answering.Choice}
    needed |= {f"identifier.{each.value}" for each in answering.Identifier}
    needed |= {f"reason.{each.value}" for each in (*answering.Reason, *answering.MismatchReason)}
    needed |= {f"why.{each.value}" for each in answering.ResultReason} | {"why.face_not_verified"}
    needed |= {f"verdict.{each.value}" for each in answering.FaceVerdict}
    needed |= {f"result.{each.value}" for each in SpotCheckResult}
    needed |= {f"rounds.{each.value}" for each in SheetState}
    needed |= {f"leave.{kind}" for kind in LeaveKind.__args__}
    needed |= {f"problem.{name}" for _, name in app._PROBLEMS.values() if name not in NEVER_SHOWN}
    page = (app.PAGE / "index.html").read_text(encoding="utf-8")
    needed |= set(re.findall(r'data-(?:say|hint)="([^"]+)"', page))
    needed |= set(re.findall(r'say\("([^"]+)"', SCRIPT))
    assert not {key for key in needed if not words.get(key)}


NEVER_SHOWN = {"unknown_look", "wrong_moment"}
"""The page mends the first by itself; the second reads as a fault."""


def test_the_page_offers_what_the_device_takes():
    assert set(listed("const IDENTIFIERS")) == {each.value for each in answering.Identifier}
    assert set(listed("const UNIQUE")) == {each.value for each in answering.UNIQUE}
    assert set(listed("const CHOICES")) == {each.value for each in answering.Choice}
    assert set(listed("present")) == {each.value for each in answering.Reason}
    assert listed("cannot_be_asked") == [each.value for each in answering.CANNOT_BE_ASKED]
    assert set(listed("mismatch")) == {each.value for each in answering.MismatchReason}


def test_another_page_is_another_version_for_its_worker():
    assert re.fullmatch("[0-9a-f]{16}", app.page_version())
    files = app.page_files()
    assert "/" in files
    assert "/static/worker.js" not in files
    assert len(set(files)) == len(files)


def test_a_sheets_name_tells_neither_round_nor_institution():
    names = {sheet_id("R", "H1"), sheet_id("R", "H2"), sheet_id("R H1", ""), sheet_id("RH", "1")}
    assert len(names) == 4
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)


def test_where_a_round_stands():
    sealed = seal(make_sheet(), CODE)
    second = timedelta(seconds=1)
    assert standing(sealed, DUE - second, opened=True) is SheetState.NOT_DUE
    assert standing(sealed, DUE, opened=False) is SheetState.DUE
    assert standing(sealed, CLOSES, opened=True) is SheetState.OPEN
    assert standing(sealed, CLOSES + second, opened=True) is SheetState.CLOSED
