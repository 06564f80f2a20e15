"""Puts console and API together: errors in one form, headers, access."""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from joserfc.jwk import OKPKey
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from renzheng.central.access.one_time_codes import Sealer
from renzheng.central.access.provider import Provider
from renzheng.central.access.roles import Permission
from renzheng.central.access.signing_in import SigningIn
from renzheng.central.access.visitors import Visitors
from renzheng.central.cases import attachments, scanning
from renzheng.central.cases.corrections import Corrections
from renzheng.central.cases.errors import CaseError
from renzheng.central.cases.keeping import Cases
from renzheng.central.cases.patient_questions import PatientQuestions
from renzheng.central.cases.penalty_keeping import Penalties
from renzheng.central.cases.point_powers import LostPowers
from renzheng.central.cases.summons_keeping import Summonses
from renzheng.central.checks import cds_hooks
from renzheng.central.checks.service import nothing
from renzheng.central.checks.site import checks_of
from renzheng.central.lists.lists import Lists
from renzheng.central.metrics import Labels, Metrics
from renzheng.central.self_check import uploads
from renzheng.central.settings import LOOPBACK, Settings
from renzheng.central.site.succession import read_former
from renzheng.central.store import reading
from renzheng.central.store.database import Database
from renzheng.central.store.faults import describe
from renzheng.central.store.masking import Masks
from renzheng.central.store.times import to_us
from renzheng.central.watch.problems import KINDS
from renzheng.central.watch.service_status import ServiceStatus
from renzheng.central.watch.watch import gauges_of_workers
from renzheng.central.web import (
    access_pages,
    attempt_pages,
    crop_pages,
    draw_pages,
    factor_pages,
    own_pages,
    privacy_pages,
    provider_pages,
    rate_pages,
    reminder_pages,
    request_pages,
    self_check_pages,
    sign_in_pages,
    stay_pages,
    unmasking,
)
from renzheng.central.web.access import MOST_FORM_BYTES, OF_PROGRAMS, Gate, Next, is_open, read_token
from renzheng.central.web.api import (
    case_corrections,
    case_letters,
    case_penalties,
    case_questions,
    case_rules,
    case_summonses,
    cds_checks,
    nhsa_checks,
    routes,
)
from renzheng.central.web.api import cases as case_routes
from renzheng.central.web.api import checks as check_routes_of
from renzheng.central.web.case_pages import routes as case_pages
from renzheng.central.web.case_pages.parts import Office
from renzheng.central.web.console import (
    data_pages,
    list_pages,
    morning_page,
    pages,
    problem_pages,
    subject_pages,
)
from renzheng.central.web.guard import check_routes, guard, needs, open_to_all
from renzheng.central.web.guesses import Guesses
from renzheng.central.web.lane import Lane
from renzheng.common.limits import BodyLimits, RequestLimits
from renzheng.common.metrics import CONTENT_TYPE
from renzheng.common.supervised import health_of
from renzheng.contracts import keys
from renzheng.contracts.errors import RenzhengError
from renzheng.rules.pack import Pack, load_pack

logger = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def masks_of(settings: Settings) -> Masks:
    """Make the masks of this central; without its key, handles hold until the service starts again."""
    key = settings.key_file
    return Masks(key.read_bytes() if key.exists() else secrets.token_bytes(32))


def build_app(
    database: Database,
    settings: Settings,
    clock: Callable[[], datetime],
    metrics: Metrics,
    standing: ServiceStatus | None = None,
) -> FastAPI:
    """Build the application over a store."""
    service = standing or ServiceStatus()
    app = FastAPI(
        title="renzheng central",
        version="1",
        description="Devices, line verdicts, findings and audit runs. 设备、逐条结论、疑点与稽核运行。",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page loads from a CDN
        redoc_url=None,
        dependencies=[Depends(guard)],
    )
    app.state.masks = masks_of(settings)
    guesses = Guesses(count=lambda: metrics.add("renzheng_access_wrong_tokens_total"))
    token = read_token(settings.access_token_file)
    oidc = settings.oidc
    trusted = frozenset({provider_pages.WAY} if oidc and oidc.asks_for_second_factor else ())
    visitors = Visitors(database, clock, settings.second_factor, trusted)
    gate = Gate(
        token,
        guesses,
        visitors,
        accounts_only=settings.accounts_only,
        advising=LIMITS.advising_at,
        advising_seconds=settings.checks.deadline_ms / 1000,
    )
    app.middleware("http")(gate)
    app.middleware("http")(_with_headers)
    door = check_routes_of.Door(
        checks_of(settings, clock, LostPowers(database).now, metrics.add), settings.checks.deadline_ms / 1000
    )
    app.add_middleware(
        Lane, door=door, visitors=visitors, guesses=guesses, masks=app.state.masks, headers=HEADERS
    )
    if settings.host in LOOPBACK:  # a page elsewhere cannot reach us under another name (DNS rebinding)
        known = [name for name in (urlsplit(settings.public_url).hostname,) if name]
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]", *known])
    app.add_middleware(RequestLimits, limits=LIMITS)  # the last added is the outermost
    _handle_errors(app)
    app.include_router(routes.build_router(database, settings, service), prefix="/api/v1")
    zone = ZoneInfo(settings.timezone)
    _add_cases(app, database, settings, clock)
    _add_checks(app, door, settings, clock)
    app.include_router(problem_pages.build_router(database, settings, clock, service))
    lists = Lists(settings.months_dir)
    app.include_router(pages.build_router(database, settings, clock, lists))
    app.include_router(morning_page.build_router(database, settings, clock, lists))
    app.include_router(list_pages.build_router(database, settings, clock, lists))
    app.include_router(subject_pages.build_router(database, settings, lists))
    app.include_router(unmasking.build_router())
    app.include_router(own_pages.build_router(database, settings))
    app.include_router(attempt_pages.build_router(database, settings, clock, service))
    app.include_router(data_pages.build_router(settings, zone))
    _add_signing_in(app, gate, guesses, database, settings, clock)
    for part in (
        stay_pages,
        draw_pages,
        rate_pages,
        access_pages,
        privacy_pages,
        request_pages,
        crop_pages,
        self_check_pages,
    ):
        app.include_router(part.build_router(database, settings, clock))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/metrics", include_in_schema=False)
    @needs(Permission.HEALTH)
    def show_metrics() -> PlainTextResponse:
        gauges = gauges_of_workers(service.workers)
        if service.sign_ins:
            gauges += service.sign_ins.gauges()
        try:
            gauges += _gauges(service.database or database, to_us(clock()))
        except Exception as error:  # noqa: BLE001 - the threads' gauges must be had then more than ever
            logger.error("the store's gauges cannot be read: %s", describe(error))  # noqa: TRY400
        return PlainTextResponse(metrics.text(gauges), media_type=CONTENT_TYPE)

    @app.get("/health", include_in_schema=False)
    @open_to_all
    async def show_health() -> JSONResponse:
        """Answer a probe from what is in memory: neither the store nor a busy page can hold it up."""
        well = service.well()
        workers = health_of(service.workers.states())
        return JSONResponse(
            {"state": "ok" if well else "failing", "workers": workers}, status_code=200 if well else 503
        )

    check_routes(app, is_open)
    return app


def _add_signing_in(  # noqa: PLR0917 - what they all stand on
    app: FastAPI,
    gate: Gate,
    guesses: Guesses,
    database: Database,
    settings: Settings,
    clock: Callable[[], datetime],
) -> None:
    """Add the pages on which people become known, and keep their second factors."""
    signing = SigningIn(database, clock, Sealer(settings.second_factor_key_file))
    party, zone = sign_in_pages.party_of(settings.public_url), ZoneInfo(settings.timezone)
    provider = Provider(settings.oidc, settings.public_url, clock) if settings.oidc else None
    app.include_router(sign_in_pages.build_router(gate, signing, guesses, party, provider))
    app.include_router(factor_pages.build_router(database, clock, signing, party, zone, guesses))
    if provider is not None:
        returning = provider_pages.Returning(database, clock, signing, provider)
        app.include_router(provider_pages.build_router(returning, guesses))


def _add_checks(
    app: FastAPI, door: check_routes_of.Door, settings: Settings, clock: Callable[[], datetime]
) -> None:
    """Add checks before and during treatment, by each way of asking, and what became of them."""
    app.include_router(check_routes_of.build_router(door, lambda: to_us(clock())), prefix="/api/v1")
    app.include_router(reminder_pages.build_router(door.checks.keeper, ZoneInfo(settings.timezone), clock))
    app.include_router(cds_checks.build_router(door, clock))
    app.include_router(nhsa_checks.build_router(door, clock, settings.checks.scenarios))


def _add_cases(app: FastAPI, database: Database, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Add cases: over the API, and as pages."""

    def key() -> OKPKey:
        return keys.load_private_key(settings.key_file.read_bytes())

    def signed_by() -> list[OKPKey]:
        return [key(), *read_former(settings.key_file).public.values()]

    @cache
    def pack() -> Pack:
        rules = settings.audit
        return load_pack(rules.rules_dir).for_region(rules.region)

    zone = ZoneInfo(settings.timezone)
    cases = Cases(database, key, pack, zone, clock, region=settings.audit.region)
    told = settings.cases
    scan = partial(scanning.must_pass, command=told.scanner, seconds=told.scanner_seconds)
    router = case_routes.build_router(database, cases, clock, signed_by, zone, scan)
    case_rules.add_to(router, database, cases)
    case_letters.add_to(router, database, zone, told.font)
    corrections = Corrections(database, cases, settings.tables_dir, clock)
    case_corrections.add_to(router, database, corrections)
    penalties = Penalties(database, key, pack, zone, clock, settings.audit.region)
    case_penalties.add_to(router, database, penalties)
    questions = PatientQuestions(database, key, pack, zone, clock, settings.audit.region)
    case_questions.add_to(router, database, questions)
    summonses = Summonses(database, key, pack, zone, clock, settings.audit.region)
    figure_of = case_summonses.figures(settings, lambda: to_us(clock()))
    case_summonses.add_to(router, database, summonses, figure_of)
    app.include_router(router, prefix="/api/v1")
    office = Office(
        database, cases, clock, zone, settings.audit, scan, penalties, corrections, questions, summonses,
        figure_of,
    )  # fmt: skip
    app.include_router(case_pages.build_router(office))


_ELSEWHERE = 303
_FORMS = ("/unmask", "/sign-in", "/first", "/confirm", "/access", "/privacy", "/crops", "/views")
LIMITS = BodyLimits(
    routes={
        **dict.fromkeys(_FORMS, MOST_FORM_BYTES),
        "/api/v1/attachments": attachments.MOST_BYTES + MOST_FORM_BYTES,
        "/api/v1/doubts": case_routes.MOST_BODY_BYTES,
        self_check_pages.HERE: uploads.MOST_BYTES + self_check_pages.OVERHEAD_BYTES,
        f"{self_check_pages.HERE}/": case_routes.MOST_BODY_BYTES,
        "/doubts/": attachments.MOST_BYTES * 2,
        "/doubts/acts": case_routes.MOST_BODY_BYTES,
        "/api/v1/checks": check_routes_of.MOST_BYTES,
        "/nhsa/": check_routes_of.MOST_BYTES,
        cds_hooks.PREFIX: check_routes_of.MOST_BYTES,
    },
    streamed=frozenset({self_check_pages.HERE}),
    advising={
        "/api/v1/checks": nothing,
        "/nhsa/310": nhsa_checks.refused_before,
        "/nhsa/3103": nhsa_checks.feedback_refused_before,
        f"{cds_hooks.PREFIX}/": cds_hooks.no_cards,
        **{f"{cds_hooks.PREFIX}/{name}/feedback": None for name in cds_hooks.SERVICES},
    },
)


def _gauges(database: Database, now_us: int) -> list[tuple[str, Labels, float]]:
    with database.reading() as connection:
        counts, held = reading.counts(connection), reading.devices(connection)
    gauges: list[tuple[str, Labels, float]] = [("renzheng_devices", (), float(counts["devices"]))]
    for name, by_problem in (
        ("renzheng_open_alarms", counts["open_alarms"]),
        ("renzheng_quarantined_messages", counts["quarantined"]),
    ):
        known = dict.fromkeys(KINDS, 0) if name == "renzheng_open_alarms" else {}
        gauges += [(name, (("problem", problem),), float(n)) for problem, n in (known | by_problem).items()]
    for device in held:
        label: Labels = (("device", device["device_id"]),)
        if device["said_sequence"] is not None:
            backlog = max(device["said_sequence"] - device["head_sequence"], 0)
            gauges.append(("renzheng_device_backlog_entries", label, float(backlog)))
        if device["waiting_since"] is not None:
            age = max(now_us - device["waiting_since"], 0) / 1e6
            gauges.append(("renzheng_device_oldest_waiting_seconds", label, age))
    return gauges


async def _with_headers(request: Request, call_next: Next) -> Response:
    answer = await call_next(request)
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if request.url.path.startswith("/static/"):
        answer.headers["Cache-Control"] = "max-age=3600"
    return answer


def _handle_errors(app: FastAPI) -> None:
    """Answer every error in one form: what, why, what next; never the caller's own input."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        if not request.url.path.startswith(OF_PROGRAMS):
            named = [str(item["loc"][-1])[:60] for item in error.errors()[:5]]
            return pages.error_page(request, 400, named)
        # The stock handler echoes the input, and answers 500 to a number such as 1e999.
        fields = [
            {"place": ".".join(str(part) for part in item["loc"])[:200], "problem": str(item["msg"])[:200]}
            for item in error.errors()[:20]
        ]
        return _error(422, "The request does not have the form that this address asks for.", fields=fields)

    @app.exception_handler(HTTPException)
    async def _refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == _ELSEWHERE and error.headers:
            return RedirectResponse(error.headers["Location"], status_code=_ELSEWHERE)
        return _answer(request, error.status_code, str(error.detail))

    @app.exception_handler(CaseError)
    async def _refused_in_a_case(request: Request, error: CaseError) -> Response:
        if request.url.path.startswith("/api/"):
            return case_routes.problem(error)
        return pages.error_page(request, case_routes.STATUSES.get(type(error), 400))

    @app.exception_handler(RenzhengError)
    async def _ours(request: Request, error: RenzhengError) -> Response:
        return _answer(request, 400, error.what, why=error.why, do=error.do)

    @app.exception_handler(sa.exc.SQLAlchemyError)
    async def _refusing(request: Request, error: sa.exc.SQLAlchemyError) -> Response:
        # A driver's own words may name people, so its kind is all that is logged.
        logger.error(
            "the store did not answer a request to %s: %s", request.scope.get("route"), describe(error)
        )
        return _answer(request, 503, "The store does not answer at this moment.", do="Try again in a minute.")

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> Response:
        logger.error("a request to %s failed", request.scope.get("route"), exc_info=error)
        return _answer(request, 500, "The service failed at this request; its log says why.")


def _answer(request: Request, status: int, what: str, **more: Any) -> Response:
    """Answer programs with JSON, and people with a page in their language."""
    if request.url.path.startswith(OF_PROGRAMS):
        return _error(status, what, **more)
    return pages.error_page(request, status)


def _error(status: int, what: str, **more: Any) -> JSONResponse:
    return JSONResponse({"error": {"what": what, **{k: v for k, v in more.items() if v}}}, status_code=status)
