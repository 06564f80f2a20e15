"""An institution's own check of its month before it is submitted: files in, the audit's tables out.

It needs no server, no configuration and no network; what it finds is the institution's own business.
"""

import datetime as dt
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from joserfc.jwk import OKPKey

from renzheng.central.audit.request import AuditRequest, AuditResult
from renzheng.central.audit.run import run_audit
from renzheng.central.checks.errors import KnowledgeError
from renzheng.central.claims.catalogue import starter_rows
from renzheng.central.claims.formats import Format
from renzheng.central.claims.importer import ImportSummary, import_claims
from renzheng.central.claims.source import Options
from renzheng.central.nightly.report import REPORT, write_report
from renzheng.common.files import put
from renzheng.contracts.tables import ITEM_CATALOGUE, REJECTS, arrow_schema, empty_table
from renzheng.rules.knowledge.packfile import read_pack
from renzheng.rules.pack import load_pack

TABLES = "tables"
"""Folder of the imported tables in the output."""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What a self-check gave.

    Args:
        imported: what was taken of the files, and what was not.
        result: the audit's tables.
        first, last: service days of the lines.
        points: how many points of the pack could be read.
        unsigned: the pack has no signature.
    """

    imported: ImportSummary
    result: AuditResult
    first: dt.date
    last: dt.date
    points: int
    unsigned: bool


def check_self(
    lines: Path,
    pack: Path,
    out: Path,
    *,
    file_format: Format,
    options: Options,
    keys: Sequence[OKPKey],
    now: dt.datetime,
) -> SelfCheck:
    """Import files into `out`, and audit them by the knowledge of a pack.

    Every point whose limit could be read counts, watched or in force: the institution learns what it would be
    asked about.

    Args:
        lines: a file, or a folder of files, of a format of the importers.
        pack: a knowledge pack.
        out: gets the audit's output, `tables` and `report.html`; what an earlier check left is replaced.
        file_format: of the files.
        options: what the user says about them.
        keys: whose signature of the pack counts; none is asked for where there is none.
        now: when it is.

    Raises:
        InputError: files or pack cannot be read.
    """
    knowledge = read_pack(pack)
    if keys:
        knowledge.signer(keys)
    _must_be_ours(out)
    imported = take_in(lines, out, file_format, options)
    tables = out / TABLES
    first, last = days_of(tables, ZoneInfo(options.zone))
    points = [point for point in knowledge.points if not point.problem]
    result = run_audit(AuditRequest(tables, first, last, out, points=points))
    write_report(out / REPORT, result, tables, "self-check", now, load_pack())
    return SelfCheck(imported, result, first, last, len(points), knowledge.signature is None)


def take_in(lines: Path, out: Path, file_format: Format, options: Options) -> ImportSummary:
    """Import files into the tables of `out`, with what the audit needs beside them; replaces earlier ones.

    Raises:
        InputError: files cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".self-check-", dir=out) as scratch:
        made = Path(scratch) / TABLES
        imported = import_claims(lines, made, file_format=file_format, options=options)
        _complete(made)
        shutil.rmtree(out / TABLES, ignore_errors=True)
        put(made, out / TABLES)
    return imported


def _must_be_ours(out: Path) -> None:
    """Refuse to replace tables that no earlier check has made.

    Raises:
        KnowledgeError: the folder holds others.
    """
    if (out / TABLES).exists() and not (out / REPORT).exists():
        raise KnowledgeError(
            f"{out} holds a folder {TABLES} that no self-check has made.",
            why="It would be replaced.",
            do="Name another folder with --out.",
        )


def _complete(tables: Path) -> None:
    """Add what the audit asks for: a class for every item, and an empty list of rejects where there are none.

    Items of which nothing is known are `other`: what they are limited by is the pack's business.
    """
    codes = pq.read_table(tables / "claim_lines.parquet", columns=["item_code"])["item_code"]
    billed = set(pc.unique(codes).to_pylist())
    path = tables / "item_catalogue.parquet"
    held = pq.read_table(path).to_pylist() if path.exists() else []
    known = {row["item_code"] for row in held}
    rows = [*held, *(row for row in starter_rows() if row["item_code"] not in known)]
    known |= {row["item_code"] for row in rows}
    rows += [{"item_code": code, "item_class": "other"} for code in sorted(billed - known)]
    pq.write_table(pa.Table.from_pylist(rows, arrow_schema(ITEM_CATALOGUE)), path, compression="zstd")
    if not (tables / "rejects.parquet").exists():
        pq.write_table(empty_table(REJECTS), tables / "rejects.parquet")


def days_of(tables: Path, zone: ZoneInfo) -> tuple[dt.date, dt.date]:
    """Return the first and the last local day of the lines."""
    times = pq.read_table(tables / "claim_lines.parquet", columns=["service_time"])["service_time"]
    found = pc.min_max(times).as_py()
    return found["min"].astimezone(zone).date(), found["max"].astimezone(zone).date()
