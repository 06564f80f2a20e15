"""An institution's own check on the console: a month is sent, its advices read, lines taken back."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import anyio
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException as StarletteError
from starlette.formparsers import MultiPartException

from renzheng.central.access.roles import Permission
from renzheng.central.cases import withheld
from renzheng.central.cases.errors import BodyError, CaseError
from renzheng.central.cases.withheld import Line, Withheld
from renzheng.central.claims.formats import Format
from renzheng.central.lists import sheets
from renzheng.central.self_check.uploads import (
    FORMATS,
    KEPT_DAYS,
    MOST_BYTES,
    MOST_FILES,
    Asked,
    Result,
    Uploads,
    by_rule,
)
from renzheng.central.settings import Settings
from renzheng.central.store import viewer
from renzheng.central.store.database import Database
from renzheng.central.texts import Texts
from renzheng.central.web.api.cases import STATUSES, actor_of
from renzheng.central.web.case_pages.parts import Sent, read_sent, refusal_of, words
from renzheng.central.web.console.data_pages import explained
from renzheng.central.web.console.pages import XLSX, PageNumber, Times, render
from renzheng.central.web.guard import needs, visitor_of
from renzheng.common.limits import BodyRefusedError
from renzheng.common.words import message
from renzheng.contracts.errors import InputError
from renzheng.contracts.ids import normalised_id

HERE = "/self-check"
ROWS_A_PAGE = 50
DRAIN_SECONDS = 2.0
SHOWN_TAKEN = 50
OVERHEAD_BYTES = 100_000
"""What a form has beside its files."""
FILE_HEADS = (
    "rule", "selfcheck.what", "line", "selfcheck.visit", "item", "selfcheck.day", "amount", "selfcheck.do",
    "selfcheck.state",
)  # fmt: skip
_AMOUNT = (6,)
Taken = Annotated[int | None, Query(ge=0, le=10_000)]


class _Pages:
    """What the pages work with.

    Args:
        database: the store.
        settings: of the site.
        clock: when it is.
    """

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime]) -> None:
        self.database, self.zone = database, ZoneInfo(settings.timezone)
        self.uploads = Uploads(settings, clock)
        self.withheld = Withheld(database, settings.tables_dir, self.zone, clock)

    def result(self, result_id: str) -> Result:
        """Return a result of the viewer's institutions.

        Raises:
            HTTPException: there is none.
        """
        found = self.uploads.read(result_id, _own())
        if found is None:
            raise HTTPException(404, "There is no such check.")
        return found

    def taken(self, result: Result) -> set[tuple[str, str]]:
        """Name the lines of a result that were taken back."""
        lines = (
            (line["institution_id"], line["line_id"]) for one in result["advices"] for line in one["lines"]
        )
        with self.database.reading() as connection:
            return withheld.taken_back(connection, lines)


def build_router(database: Database, settings: Settings, clock: Callable[[], datetime]) -> APIRouter:
    """Build the pages."""
    router, pages = APIRouter(include_in_schema=False), _Pages(database, settings, clock)

    @router.get(HERE)
    @needs(Permission.SELF_CHECK)
    def show_all(request: Request) -> Response:
        return _show_all(request, pages)

    @router.post(HERE)
    @needs(Permission.SELF_CHECK)
    async def check(request: Request) -> Response:
        return await _check(request, pages)

    @router.get(f"{HERE}/{{result_id}}.xlsx")
    @needs(Permission.SELF_CHECK)
    def send_xlsx(request: Request, result_id: str) -> Response:
        return _send_xlsx(request, pages, pages.result(result_id))

    @router.get(f"{HERE}/{{result_id}}.csv")
    @needs(Permission.SELF_CHECK)
    def send_csv(request: Request, result_id: str) -> Response:
        t, result = words(request), pages.result(result_id)
        rows = list(_rows(result, pages.taken(result), t))
        parts = sheets.write_csv([t(head) for head in FILE_HEADS], [rows])
        headers = {"Content-Disposition": f'attachment; filename="self-check-{result["first"]}.csv"'}
        return StreamingResponse(parts, media_type="text/csv; charset=utf-8", headers=headers)

    @router.get(f"{HERE}/{{result_id}}")
    @needs(Permission.SELF_CHECK)
    def show(request: Request, result_id: str, page: PageNumber = 1, taken: Taken = None) -> Response:
        return _show(request, pages, pages.result(result_id), page, told=taken)

    @router.post(f"{HERE}/{{result_id}}/take-back")
    @needs(Permission.CASES_STEP)
    async def take_back(request: Request, result_id: str, page: PageNumber = 1) -> Response:
        sent = await read_sent(request)
        return await run_in_threadpool(_take_back, request, pages, result_id, sent, page)

    @router.post(f"{HERE}/{{result_id}}/delete")
    @needs(Permission.SELF_CHECK)
    def delete(result_id: str) -> Response:
        pages.uploads.delete(pages.result(result_id))
        return RedirectResponse(HERE, status_code=303)

    return router


def _own() -> frozenset[str]:
    """Return the institutions for which the viewer speaks; whoever is bound to none speaks for none."""
    return viewer.institutions() or frozenset()


async def _check(request: Request, pages: _Pages) -> Response:
    t = words(request)
    try:
        _must_be_small_enough(request)
        async with request.form(max_files=MOST_FILES, max_fields=20) as form:
            result = await run_in_threadpool(_checked, request, pages, form)
    except BodyRefusedError as error:
        await _drain(request)
        return _show_all(
            request, pages, (t("selfcheck.too_large", most=MOST_BYTES // 1_000_000),), error.status
        )
    except (MultiPartException, StarletteError):  # which of the two, the framework decides
        return _show_all(request, pages, (t("selfcheck.too_many", most=MOST_FILES),), 400)
    except InputError as error:
        told = tuple(message(part, t.language) for part in (error.what, error.why, error.do) if part)
        return _show_all(request, pages, told, 400)
    return RedirectResponse(f"{HERE}/{result['id']}", status_code=303)


def _must_be_small_enough(request: Request) -> None:
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > MOST_BYTES + OVERHEAD_BYTES:
        raise BodyRefusedError(413)


def _checked(request: Request, pages: _Pages, form: FormData) -> Result:
    asked = form.get("format")
    known = next((one for one in FORMATS if one.value == asked), Format.NHSA)
    files: list[tuple[str, IO[bytes]]] = [
        (one.filename or "file", one.file) for one in form.getlist("files") if isinstance(one, UploadFile)
    ]
    visitor = visitor_of(request)
    account = visitor.account_id if visitor else ""
    institutions = frozenset(map(normalised_id, _own()))
    result, persons = pages.uploads.check(files, Asked(account, institutions, known))
    viewer.note_persons(persons)
    viewer.remark(f"{result['id']} {' '.join(result['institutions'])}")
    return result


async def _drain(request: Request) -> None:
    """Let a caller finish a little of what it is sending: a reset would take the answer back."""
    with anyio.move_on_after(DRAIN_SECONDS), suppress(Exception):
        async for _ in request.stream():
            pass


def _take_back(request: Request, pages: _Pages, result_id: str, sent: Sent, number: int) -> Response:
    result = pages.result(result_id)
    try:
        chosen = list(_chosen(result, sent.fields.get("line", ())))
        count = pages.withheld.take_back(actor_of(pages.database, request), chosen, sent.short("text"))
    except CaseError as error:
        refusal = refusal_of(error, words(request))
        return _show(
            request,
            pages,
            result,
            number,
            status=STATUSES[type(error)],
            refusal=refusal,
            text=sent.text("text"),
        )
    return RedirectResponse(f"{HERE}/{result_id}?page={number}&taken={count}", status_code=303)


def _chosen(result: Result, places: Sequence[str]) -> Iterator[Line]:
    """Find the ticked lines by the places of advice and line.

    Raises:
        BodyError: there is no such line.
    """
    known = {
        f"{at}.{number}": (advice, line)
        for at, advice in enumerate(result["advices"])
        for number, line in enumerate(advice["lines"])
    }
    for place in dict.fromkeys(places):
        found, row = known.get(place, (None, None))
        if found is None or row is None:
            raise BodyError("There is no such line in this check.")
        kept = ("institution_id", "line_id", "item_code", "alike", "amount_fen")
        yield Line(
            **{name: row[name] for name in kept},
            visit_id=row["visit_id"] or "",
            service_day=row["day"],
            rule_id=found["rule_id"],
            file_hash=result["file_hash"],
        )


def _show_all(request: Request, pages: _Pages, problem: Sequence[str] = (), status: int = 200) -> Response:
    pages.uploads.sweep()
    with pages.database.reading() as connection:
        total, taken = withheld.listed(connection, SHOWN_TAKEN)
    results = [
        {**one, "amount_fen": _amount(one), "lines": _lines(one)} for one in pages.uploads.listed(_own())
    ]
    return render(
        request,
        "self_checks.html",
        status=status,
        formats=[one.value for one in FORMATS],
        results=results,
        taken=taken,
        taken_total=total,
        problem=problem,
        when=Times(pages.zone),
        most=MOST_BYTES // 1_000_000,
        most_files=MOST_FILES,
        days=KEPT_DAYS,
    )


def _show(
    request: Request,
    pages: _Pages,
    result: Result,
    number: int,
    *,
    status: int = 200,
    told: int | None = None,
    refusal: Any = None,
    text: str = "",
) -> Response:
    here = f"{HERE}/{result['id']}?page={number}"
    visitor = visitor_of(request)
    first = (number - 1) * ROWS_A_PAGE
    return render(
        request,
        "self_check.html",
        status=status,
        result=result,
        rules=by_rule(result["advices"]),
        shown=list(enumerate(result["advices"]))[first : first + ROWS_A_PAGE],
        number=number,
        last=max((len(result["advices"]) + ROWS_A_PAGE - 1) // ROWS_A_PAGE, 1),
        taken=pages.taken(result),
        told=told,
        refusal=refusal,
        text=text,
        amount_fen=_amount(result),
        lines=_lines(result),
        confirmed=visitor is not None and visitor.confirmed,
        confirm_address=f"/confirm?next={quote(here)}",
        back=urlencode({"back": here}),
        when=Times(pages.zone),
        days=KEPT_DAYS,
        explain=partial(explained, language=words(request).language),
        do=lambda rule_id: _do(words(request), rule_id),
    )


def _amount(result: Result) -> int:
    return sum(one["amount_fen"] for one in result["advices"])


def _lines(result: Result) -> int:
    return sum(len(one["lines"]) for one in result["advices"])


def _do(t: Texts, rule_id: str) -> str:
    """Say what to do about an advice of a rule."""
    return t.catalogue.get(f"selfcheck.do.{rule_id}") or t("selfcheck.do.other")


def _send_xlsx(request: Request, pages: _Pages, result: Result) -> Response:
    t = words(request)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "self-check.xlsx"
        rows = _rows(result, pages.taken(result), t)
        sheets.write_xlsx(path, t("nav.self_check"), [t(head) for head in FILE_HEADS], [rows], _AMOUNT)
        content = path.read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="self-check-{result["first"]}.xlsx"'}
    return Response(content, media_type=XLSX, headers=headers)


def _rows(result: Result, taken: set[tuple[str, str]], t: Texts) -> Iterator[Sequence[sheets.Cell]]:
    for one in result["advices"]:
        for line in one["lines"]:
            is_taken = (line["institution_id"], line["line_id"]) in taken
            yield (
                one[f"title_{t.language}"],
                one[t.language],
                line["line_id"],
                line["visit_id"],
                f"{line['item_code']} {line['item_name'] or ''}".strip(),
                line["day"],
                line["amount_fen"] / 100,
                _do(t, one["rule_id"]),
                t("selfcheck.taken") if is_taken else "",
            )
