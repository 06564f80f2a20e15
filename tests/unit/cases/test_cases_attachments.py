"""What may be handed in with a statement, seen from its content."""

import io
import zipfile

import pytest

from renzheng.central.cases import attachments
from renzheng.central.cases.errors import BodyError


def packed(**parts):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, size in parts.items():
            file.writestr(name, b"0" * size)
    return made.getvalue()


WORD, SHEET, MACRO = {"word/document.xml": 9}, {"xl/workbook.xml": 9}, {"word/vbaProject.bin": 9}


def test_office_documents_are_known_by_their_parts():
    assert attachments.kind_of(packed(**WORD)).endswith("wordprocessingml.document")
    assert attachments.kind_of(packed(**SHEET)).endswith("spreadsheetml.sheet")


@pytest.mark.parametrize("content", [packed(anything=9), packed(**WORD, **MACRO), b"PK\x03\x04"])
def test_other_zip_files_and_documents_with_macros_are_not_taken(content):
    with pytest.raises(BodyError):
        attachments.kind_of(content)


def test_a_zip_that_opens_to_more_than_anybody_reads_is_refused(monkeypatch):
    monkeypatch.setattr(attachments, "MOST_UNPACKED", 8)
    with pytest.raises(BodyError):
        attachments.kind_of(packed(**WORD))
