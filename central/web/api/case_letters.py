"""Letters of a case as files: PDF to send, DOCX to edit."""

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from renzheng.central.access.roles import Permission
from renzheng.central.cases.errors import NotFoundError
from renzheng.central.store.database import Database
from renzheng.central.web.api import cases as case_routes
from renzheng.central.web.guard import needs

FORMS: Mapping[str, str] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


def add_to(router: APIRouter, database: Database, zone: ZoneInfo, font: Path | None) -> None:
    """Add the routes to those of cases.

    Args:
        router: those of cases.
        database: the store.
        zone: the site's, for institutions without one of their own.
        font: for PDF; None takes the system's.
    """

    @router.get("/cases/{case_id}/letters/{kind}.{form}")
    @needs(Permission.CASES)
    def read_letter(request: Request, case_id: case_routes.Id, kind: str, form: str) -> Response:
        """Read one letter of a case as a file: `notice.pdf`, `decision.docx` and so on."""
        actor = case_routes.actor_of(database, request)
        with database.reading() as connection:
            case, written = case_routes.letters_of(connection, actor, case_id, zone)
        letter = next((one for one in written if one.kind == kind), None)
        if letter is None or form not in FORMS or case.issued_at is None:
            raise NotFoundError(f"The case has no letter {kind[:20]}.{form[:10]}.")
        from renzheng.central.cases import letter_files  # noqa: PLC0415 - what it needs takes a while to load

        made = (
            letter_files.to_pdf(letter, case.issued_at, font)
            if form == "pdf"
            else letter_files.to_docx(letter, case.issued_at)
        )
        headers = {"Content-Disposition": f'attachment; filename="{case.month}-{kind}-{case_id}.{form}"'}
        return Response(made, media_type=FORMS[form], headers=headers)
