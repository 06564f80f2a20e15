"""Letters as files: pages numbered, heads repeated, nothing lost, the same bytes for the same case."""

import datetime as dt
import io
import zipfile
from dataclasses import replace

import pytest
from docx import Document
from parts.cases import ZONE, Desk, a_doubt

from renzheng.central.cases import letter_files
from renzheng.central.cases.doubts import Billed
from renzheng.central.cases.errors import LetterError
from renzheng.central.cases.letter_blocks import Grid, Words, blocks_of
from renzheng.central.cases.letters import Letter, letters_of

AT = dt.datetime(2026, 4, 7, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def notice():
    """A notice of forty doubts, one of them with very many lines, to an institution with rare characters."""
    many = replace(a_doubt(1), lines=tuple(Billed(f"LINE-{number:06}", 100) for number in range(300)))
    desk = Desk(many, *(a_doubt(number) for number in range(2, 41))).to_issued()
    (letter, *_) = letters_of(desk.case, list(desk.doubts.values()), "䶮县𠮷祥医院\U0010fffd（H1）", ZONE)
    return letter


def test_a_letter_is_read_as_blocks(notice):
    blocks = blocks_of(notice.html)
    assert blocks[0] == Words("医疗保障费用疑点告知书", 1)
    (grid,) = [one for one in blocks if isinstance(one, Grid)]
    assert [cell.text for cell in grid.head] == ["疑点", "费用明细", "理由", "涉及金额/元"]
    assert len(grid.rows) == 40
    assert grid.foot[0].span == 3
    assert grid.foot[1].text == "16000.00"


@pytest.mark.skipif(not any(one.exists() for one in letter_files.FONTS), reason="no Chinese font here")
def test_a_pdf_has_numbered_pages_and_the_same_bytes_each_time(notice):
    made = letter_files.to_pdf(notice, AT)
    assert made.startswith(b"%PDF-")
    assert 3 < made.count(b"/Type /Page\n") < 30
    assert made == letter_files.to_pdf(Letter(notice.kind, notice.title, notice.html), AT)
    assert made != letter_files.to_pdf(notice, AT + dt.timedelta(days=1))


def test_without_a_font_it_says_which_to_install(notice, tmp_path):
    with pytest.raises(LetterError, match="no font with Chinese"):
        letter_files.to_pdf(notice, AT, tmp_path / "none.ttf")


def test_a_docx_holds_every_cell_and_is_the_same_each_time(notice):
    made = letter_files.to_docx(notice, AT)
    assert made == letter_files.to_docx(notice, AT)
    document = Document(io.BytesIO(made))
    (table,) = document.tables
    assert len(table.rows) == 42
    assert "LINE-000299" in table.rows[1].cells[1].text
    assert "𠮷" in "".join(one.text for one in document.paragraphs)
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        inner = packed.read("word/document.xml").decode()
        assert {one.date_time[0] for one in packed.infolist()} == {1980}
    assert "w:tblHeader" in inner
