"""Run the audit: load, step after step, write. It reads as the audit's table of contents."""

# ruff: noqa: S608 - SQL is put together from the names of rules in the pack

import datetime as dt
import hashlib
import json
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from renzheng.central.audit.bed_settings import bed_calendar, bed_numbers
from renzheng.central.audit.computing import COMPUTE
from renzheng.central.audit.duckdb_engine import DuckDBEngine
from renzheng.central.audit.engine import Engine
from renzheng.central.audit.errors import (
    AuditUsageError,
    EngineError,
    NothingInScopeError,
    OutOfRoomError,
    OutOfTimeError,
    RuleFailedError,
)
from renzheng.central.audit.explaining import Institution, institutions
from renzheng.central.audit.findings import find, switched_off, write_findings
from renzheng.central.audit.knowledge import knowledge_tables
from renzheng.central.audit.loading import Loaded, Loader
from renzheng.central.audit.request import (
    AuditRequest,
    AuditResult,
    Place,
    Progress,
    day_number,
    here,
    no_progress,
)
from renzheng.central.audit.rulebook import require_readable, require_signatures
from renzheng.central.audit.service_points import point_tables, read_point
from renzheng.central.audit.settings import calendar, day_settings, early_day
from renzheng.central.audit.sources import Source, find_sources, read_rejects
from renzheng.central.audit.steps import (
    BASIC_STEPS,
    COMPUTED,
    ORIGINS,
    STEPS,
    VERDICT_RULES,
    VIEWS,
    WITHOUT_POINTS,
    filled,
    last_uses,
    of_points,
    read_step,
)
from renzheng.common.files import put
from renzheng.contracts.tables import BOXES, INPUT_TABLES, VERDICTS
from renzheng.rules.knowledge.tables import with_points
from renzheng.rules.pack import LINE_RULES, Pack, Rule, load_pack
from renzheng.rules.parameters import resolve

if TYPE_CHECKING:
    from renzheng.central.audit.spark_run import SparkWork


def run_audit(request: AuditRequest, progress: Progress = no_progress) -> AuditResult:
    """Audit the claim lines of a period.

    Nothing under `request.out` changes before all of it is computed; `summary.json` is put in place last.

    Raises:
        AuditUsageError: the request makes no sense.
        TablesUnusableError: input columns are missing or mistyped; every problem is listed.
        EngineError: the engine failed.
    """
    _check(request)
    pack = asked_pack(request)
    if request.engine == "python":
        from renzheng.central.audit.oracle.running import run_plainly  # noqa: PLC0415 - few runs need it

        return run_plainly(request, pack)
    try:
        return _run(request, pack, progress)
    except (OSError, pa.ArrowException) as error:
        raise EngineError(
            f"The audit could not read or write a file: {error}",
            why="The audit stopped; nothing was put in place of an earlier result.",
            do="Check free disk space and the rights on --tables and --out.",
        ) from error


def asked_pack(request: AuditRequest) -> Pack:
    """Load the rules as they hold in the region of a request, signed where the bureau's key is named.

    Raises:
        RulePackError: a rule is not understood, reads what it may not, or is not signed.
    """
    pack = load_pack(request.rules)
    if request.rules_key is not None:
        require_signatures(pack, request)
    if request.region is not None and request.region not in pack.regions:
        known = ", ".join(sorted(pack.regions)) or "none"
        raise AuditUsageError(
            f"There is no file for region {request.region}; there are files for: {known}.",
            why="Without one the national values would hold unnoticed.",
            do=f"Add regions/{request.region}.yaml to the pack, or leave --region out.",
        )
    pack = with_points(pack.for_region(request.region), request.points)
    if request.only:
        pack = pack.with_only(request.only)
    require_readable(pack)
    return pack


def _run(request: AuditRequest, pack: Pack, progress: Progress) -> AuditResult:
    if request.engine == "spark":
        return _run_on_spark(request, pack, progress)
    tables, out = here(request.tables), here(request.out)
    out.mkdir(parents=True, exist_ok=True)
    with _scratch(request, pack) as scratch:
        made = scratch / "made"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        sources, rejects = find_sources(tables), read_rejects(tables)
        with DuckDBEngine(
            scratch,
            memory_limit=request.memory_limit,
            threads=request.threads,
            reads=[tables],
            lasting=request.resumable,
        ) as engine:
            summary = Run(request, pack, engine, made, progress).audit(sources, rejects)
        _write_summary(made, summary)
        _put_in_place(made, out)
    return AuditResult(out, summary)


def _run_on_spark(request: AuditRequest, pack: Pack, progress: Progress) -> AuditResult:
    with _spark_work(request, pack) as work:
        summary = Run(request, pack, work.engine, work.made, progress).audit(work.sources, work.rejects)
        _write_summary(work.made, summary)
        work.put_in_place()
    return AuditResult(request.out, summary)


def _write_summary(made: Path, summary: Mapping[str, Any]) -> None:
    text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
    (made / "summary.json").write_text(text, encoding="utf-8")


class Run:
    """One run under way.

    Args:
        request: what was asked.
        pack: the rules.
        engine: an engine without tables yet.
        made: folder in which the output is made.
        progress: is told of every step.
    """

    def __init__(
        self, request: AuditRequest, pack: Pack, engine: Engine, made: Path, progress: Progress
    ) -> None:
        self._request = request
        self._pack = pack
        self._engine = engine
        self._made = made
        self._progress = progress
        self._stays_known = False
        self._points = False
        self._circles: tuple[tuple[str, ...], ...] = ()
        self._found: dict[str, int] = {}
        self._institutions: dict[str, Institution] = {}
        self._failed: dict[str, str] = {}
        self._seconds: dict[str, float] = {}
        self._steps = ("load", *STEPS, "write", *(rule.id for rule in pack.active))

    def audit(self, sources: Mapping[str, Source], rejects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Do all of it; the summary is what is returned."""
        loaded = self._load(sources, rejects)
        steps = STEPS if self._points else BASIC_STEPS
        done = last_uses(self._pack, steps)
        for name in steps:
            if name == "line_verdicts" and not self._points:
                for lacking, sql in WITHOUT_POINTS.items():
                    self._engine.table(lacking, sql)
            if self._engine.is_kept(name):
                continue
            with self._timed(name):
                self._step(name)
                self._engine.keep(name)
                for used in done.get(name, ()):
                    self._engine.drop(used)
        self._require_scope()
        with self._timed("write"):
            self._write()
        self._find()
        return self._summary(loaded)

    def lay_out(self, sources: Mapping[str, Source]) -> None:
        """Load, and do every step without dropping anything: for those who look at what a rule can read."""
        self._load(sources, (), points=True)
        for name in STEPS:
            self._step(name)

    def _load(
        self, sources: Mapping[str, Source], rejects: Sequence[Mapping[str, Any]], *, points: bool = False
    ) -> list[Loaded]:
        with self._timed("load"):
            rejected = self._made / "rejected"
            rejected.mkdir()
            period = {"from_day": self._request.from_day, "to_day": self._request.to_day}
            first, last = self._request.from_day, self._request.to_day
            loader = Loader(
                *(self._engine, sources),
                from_day=first,
                to_day=last,
                rejected=rejected,
                rejects=rejects,
                run=str(self._request.out),
            )
            loaded = loader.load()
            self._circles = loader.aliases.circles
            days, windows = day_settings(**period, resolve=self._resolve)
            self._stays_known = any(one.table == "stays" and one.read > one.rejected for one in loaded)
            self._points = points or any(
                one.table == "service_points" and one.read > one.rejected for one in loaded
            )
            if self._points:
                self._load_points()
            self._engine.add("days", days)
            self._engine.add("windows", windows)
            self._engine.add("calendar", calendar(**period))
            beds = bed_calendar(**period, resolve=self._resolve_beds)
            self._engine.add("bed_calendar", beds)
            self._engine.add("bed_numbers", bed_numbers(beds))
            for name, table in knowledge_tables(self._pack).items():
                self._engine.add(name, table)
        return loaded

    def _load_points(self) -> None:
        """Make the tables of service points."""
        classes: dict[str, list[str]] = defaultdict(list)
        for row in self._engine.rows("SELECT DISTINCT item_code, item_class FROM item_stretches").to_pylist():
            classes[row["item_code"]].append(row["item_class"])
        points = map(read_point, self._engine.rows("SELECT * FROM service_points").to_pylist())
        for name, table in point_tables(points, classes).items():
            self._engine.add(name, table)

    def _resolve(self, day: dt.date) -> dict[str, Decimal]:
        """Return the parameters of the rules of line verdicts; dialysis' own where several have one."""
        points = self._resolve_of("line-service-point", day)
        return {**points, **self._resolve_beds(day), **self._resolve_of("line-haemodialysis", day)}

    def _resolve_beds(self, day: dt.date) -> dict[str, Decimal]:
        return self._resolve_of("line-bed-day", day)

    def _resolve_of(self, rule: str, day: dt.date) -> dict[str, Decimal]:
        overrides = self._pack.overrides(self._request.region, rule)
        return resolve(self._pack.rules[rule].header, overrides, day)

    def _find(self) -> None:
        """Run every rule; each is timed as a step of its own. One that fails does not stop the others."""
        findings: list[dict[str, Any]] = []
        self._institutions = institutions(self._engine)
        with _beside_each_other(self._engine.at_once) as each:
            for rule, found in zip(self._pack.active, each(self._found_by, self._pack.active), strict=True):
                if isinstance(found, RuleFailedError):
                    self._failed[rule.id] = found.what
                    continue
                self._found[rule.id] = len(found)
                findings.extend(found)
        write_findings(self._made / "findings.parquet", findings)

    def _found_by(self, rule: Rule) -> list[dict[str, Any]] | RuleFailedError:
        """Return what one rule finds, or why it failed."""
        asked = {name: getattr(self._request, name) for name in ("region", "from_day", "to_day")}
        if not self._points and of_points(rule.sql):
            return []
        with self._timed(rule.id):
            try:
                return find(
                    self._engine,
                    rule,
                    self._pack,
                    seconds=self._request.rule_seconds,
                    known=self._institutions,
                    **asked,
                )
            except RuleFailedError as error:
                return error

    @cached_property
    def _early_day(self) -> int:
        return day_number(early_day(self._request.from_day, self._request.to_day, self._resolve))

    def _step(self, name: str) -> None:
        if name in COMPUTED:
            self._engine.compute(name, COMPUTED[name][0], COMPUTE[ORIGINS.get(name, name)])
            return
        values = {
            "from_day": day_number(self._request.from_day),
            "to_day": day_number(self._request.to_day),
            "early_day": self._early_day,
            "stays_known": int(self._stays_known),
        }
        step = read_step(name, self._pack)
        if "$bed_from_day" in step.sql:
            values["bed_from_day"] = self._bed_from_day()
        keep = self._engine.view if name in VIEWS else self._engine.table
        sql = filled(step.sql, values)
        if name not in VERDICT_RULES:
            keep(name, sql)
            return
        try:  # the rules of line verdicts are limited like every rule
            with self._engine.limited(self._request.rule_seconds):
                keep(name, sql)
        except (OutOfTimeError, OutOfRoomError) as error:
            raise RuleFailedError(
                f"The rules {' and '.join(LINE_RULES)} could not be run to their end: {error.what}",
                why="Without them no line has a verdict; nothing was put in place of an earlier result.",
                do="Look at what was changed in them, or allow more by --rule-seconds or --memory-limit.",
            ) from error

    def _bed_from_day(self) -> int:
        """Return the first day that a bed line is for; evidence of earlier days is not read."""
        first = self._engine.rows(
            "SELECT min(day) AS day FROM (SELECT day FROM bed_spread UNION ALL "
            "SELECT end_day AS day FROM bed_late) billed"
        ).to_pylist()[0]["day"]
        # a line written after midnight may be the bed of the day before
        from_day = day_number(self._request.from_day) - 1
        return from_day if first is None else min(from_day, first)

    def _require_scope(self) -> None:
        """Stop when not one billed line can be judged because no code of the bill is in the catalogue.

        Raises:
            NothingInScopeError: there are billed lines, and the catalogue knows none of their codes.
        """
        boxes = self._engine.rows("SELECT box, sum(lines) AS lines FROM ledger GROUP BY box").to_pylist()
        lines = {row["box"]: row["lines"] for row in boxes}
        known = sum(lines.get(box, 0) for box in (*VERDICTS, "out_of_scope", "reversed"))
        unknown = lines.get("unknown_code", 0)
        if known or not unknown:
            return
        codes = self._engine.rows(
            "SELECT item_code, count(*) AS lines FROM claim_lines GROUP BY item_code "
            "ORDER BY lines DESC, item_code LIMIT 5"
        ).to_pylist()
        named = ", ".join(row["item_code"] for row in codes)
        raise NothingInScopeError(
            f"None of {unknown:,} billed lines can be judged: no catalogue holds their codes ({named} ...).",
            why="The audit knows a dialysis or a bed by the class that item_catalogue gives its code.",
            do="Add item_catalogue to the tables; `renzheng claims catalogue --out TABLES` writes a starter.",
        )

    def _write(self) -> None:
        versions = " ".join(
            f"WHEN '{name}' THEN '{self._pack.rules[name].header.version}'" for name in LINE_RULES
        )
        self._engine.write(
            "SELECT line_id, institution_id, verdict, reason, coverage_ratio, evidence, rule_id, "
            f"CASE rule_id {versions} END AS rule_version, amount_at_stake FROM line_verdicts "
            "ORDER BY institution_id, line_id",
            self._made / "line_verdicts.parquet",
        )
        self._engine.write(
            "SELECT line_id, institution_id, DATE '1970-01-01' + CAST(day AS INT) AS day, verdict, reason, "
            "evidence FROM bed_day_verdicts ORDER BY institution_id, line_id, day",
            self._made / "day_verdicts.parquet",
        )
        self._engine.write(
            "SELECT institution_id, box, lines, amount, fund_amount FROM ledger ORDER BY institution_id, box",
            self._made / "ledger.parquet",
        )

    def _summary(self, loaded: list[Loaded]) -> dict[str, Any]:
        verdicts = self._engine.rows(
            "SELECT verdict, reason, count(*) AS lines, sum(amount) AS amount FROM line_verdicts "
            "GROUP BY verdict, reason ORDER BY verdict, reason"
        ).to_pylist()
        return {
            "engine": self._engine.name,
            "from": self._request.from_day.isoformat(),
            "to": self._request.to_day.isoformat(),
            "region": self._request.region,
            "tables": _told(self._request.tables),
            "rows": {one.table: {"read": one.read, "rejected": one.rejected} for one in loaded},
            "missing_tables": [
                one.table for one in loaded if one.missing and not INPUT_TABLES[one.table].optional
            ],
            "verdicts": [{**row, "amount": str(row["amount"])} for row in verdicts],
            "ledger": self._ledger(),
            "shielded": self._shielded(),
            "alias_circles": [list(circle) for circle in self._circles],
            "findings": self._found,
            "failed_rules": self._failed,
            "switched_off": switched_off(
                self._pack,
                region=self._request.region,
                from_day=self._request.from_day,
                to_day=self._request.to_day,
            ),
            "packs": self._packs(),
            "rules": {
                rule.id: {"version": rule.header.version, "content_hash": rule.content_hash}
                for _, rule in sorted(self._pack.rules.items())
            },
            "seconds": {name: round(seconds, 3) for name, seconds in self._seconds.items()},
        }

    def _ledger(self) -> dict[str, Any]:
        """Return what was sent, by box: of each institution, and of all together."""
        rows = self._engine.rows("SELECT * FROM ledger ORDER BY institution_id, box").to_pylist()
        total: dict[str, dict[str, Any]] = {}
        for row in rows:
            box = total.setdefault(row["box"], {"lines": 0, "amount": Decimal(0), "fund_amount": None})
            box["lines"] += row["lines"]
            box["amount"] += row["amount"]
            if row["fund_amount"] is not None:
                box["fund_amount"] = (box["fund_amount"] or Decimal(0)) + row["fund_amount"]
        ordered = {box: _as_texts(total[box]) for box in BOXES if box in total}
        return {"total": ordered, "institutions": [_as_texts(row) for row in rows]}

    def _shielded(self) -> list[dict[str, Any]]:
        """Count the lines that something kept from being refuted, with their yuan."""
        rows = self._engine.rows(
            "SELECT shield, count(*) AS lines, sum(amount) AS amount FROM line_verdicts "
            "WHERE shield IS NOT NULL GROUP BY shield ORDER BY shield"
        ).to_pylist()
        return [{**row, "amount": str(row["amount"])} for row in rows]

    def _packs(self) -> dict[str, str | None]:
        """Name the packs by their hashes, and whether the region's is signed by anybody at all."""
        region = self._request.region
        hashes: dict[str, str | None] = {"pack_hash": self._pack.content_hash}
        if region is not None:
            mine = self._pack.regions[region]
            hashes["region_pack_hash"] = mine.content_hash
            hashes["region_signed"] = None if mine.signature is None else "yes"
        return hashes

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        self._progress(name, self._steps.index(name), len(self._steps))
        began = time.perf_counter()
        yield
        self._seconds[name] = time.perf_counter() - began


@contextmanager
def _beside_each_other(number: int) -> Iterator[Any]:
    """Give a `map` that does so many calls at once; one after the other, it does them in this thread."""
    if number == 1:
        yield map
        return
    with ThreadPoolExecutor(number) as pool:
        yield pool.map


def _told(place: Place) -> str:
    return str(place.resolve()) if isinstance(place, Path) else place


def _as_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write amounts as texts, which lose no cent."""
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def _spark_work(request: AuditRequest, pack: Pack) -> AbstractContextManager["SparkWork"]:
    try:
        from renzheng.central.audit.spark_run import spark_work  # noqa: PLC0415 - few sites have Spark
    except ModuleNotFoundError as error:
        raise AuditUsageError(
            f"--engine spark needs the package {error.name}, which is not installed.",
            do="Install it with: pip install 'renzheng[spark]', or run with --engine duckdb.",
        ) from error
    return spark_work(request, partial(_what_is_asked, request, pack))


@contextmanager
def _scratch(request: AuditRequest, pack: Pack) -> Iterator[Path]:
    """Give the folder in which a run works; that of a resumable one outlives a kill, for the same request."""
    out = here(request.out)
    if not request.resumable:
        with tempfile.TemporaryDirectory(prefix=".audit-", dir=out) as folder:
            yield Path(folder)
        return
    tables = sorted(path for path in here(request.tables).rglob("*") if path.is_file())
    facts = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in tables]
    scratch, asked = out / ".steps", _what_is_asked(request, pack, facts)
    known = scratch / "request.json"
    if not known.is_file() or known.read_text(encoding="utf-8") != asked:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        known.write_text(asked, encoding="utf-8")
    yield scratch
    shutil.rmtree(scratch)


def _what_is_asked(request: AuditRequest, pack: Pack, tables: list[list[Any]]) -> str:
    """Write down everything on which the rows of a step depend: another request must not go on from them."""
    facts = {
        "software": version("renzheng"),
        "rules": {name: rule.content_hash for name, rule in sorted(pack.rules.items())},
        "steps": hashlib.sha256("".join(read_step(name, pack).sql for name in STEPS).encode()).hexdigest(),
        "region": [request.region, *(str(pack.overrides(request.region, name)) for name in LINE_RULES)],
        "period": [str(request.from_day), str(request.to_day)],
        "engine": request.engine,
        "points": [[point.id, point.version] for point in request.points],
        "tables": tables,
    }
    return json.dumps(facts, sort_keys=True)


def _check(request: AuditRequest) -> None:
    if request.from_day > request.to_day:
        raise AuditUsageError(
            f"--from {request.from_day} is after --to {request.to_day}.",
            do="Give the first day of the period first; both days are included.",
        )
    if request.rules is not None and not request.rules.exists():
        raise AuditUsageError(
            f"There are no rules at {request.rules}.", do="Give a pack's folder as --rules."
        )
    if request.engine == "spark":
        return  # its own file systems know what is there
    tables, out = here(request.tables), here(request.out)
    if not tables.is_dir():
        raise AuditUsageError(
            f"There is no folder {tables}.",
            why="The audit reads one table a name from it.",
            do="Give the folder with the canonical tables as --tables.",
        )
    if out.exists() and not out.is_dir():
        raise AuditUsageError(f"{out} is a file.", do="Give a folder as --out.")


def _put_in_place(made: Path, out: Path) -> None:
    """Move this run's output over that of an earlier one; the summary comes last and vouches for it."""
    (out / "summary.json").unlink(missing_ok=True)
    for path in sorted(made.iterdir(), key=lambda path: path.name == "summary.json"):
        if (out / path.name).is_dir():
            shutil.rmtree(out / path.name)
        put(path, out / path.name)
