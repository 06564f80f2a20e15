"""One check of an uploaded month, in a process of its own that can be ended.

`python -m renzheng.central.self_check.worker FOLDER`; the folder holds `job.json`, the files in `lines` and
the points in `points.knowledge`, and gets `result.json`, or `problem.json` in words.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow.compute as pc
import pyarrow.parquet as pq

from renzheng.central.audit.readback import read_findings
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit
from renzheng.central.checks.errors import KnowledgeError
from renzheng.central.claims.formats import Format
from renzheng.central.claims.importer import ImportSummary
from renzheng.central.claims.source import Options
from renzheng.central.self_check.advised import read_advices, rules_of_bills
from renzheng.central.self_check.checking import TABLES, days_of, take_in
from renzheng.central.self_check.job import JOB, LINES, POINTS, PROBLEM, RESULT
from renzheng.contracts.errors import InputError
from renzheng.rules.knowledge.packfile import read_pack
from renzheng.rules.pack import load_pack

MEMORY, THREADS, NICE = "2GB", 1, 5
MOST_REASONS = 8


def work(folder: Path) -> dict[str, Any]:
    """Check the month of a folder; return the result, with the persons of the advised lines.

    Raises:
        InputError: the files cannot be read, or are not the institution's.
    """
    job = orjson.loads((folder / JOB).read_bytes())
    zone = ZoneInfo(job["zone"])
    file_format = Format(job["format"])
    # CSV and platform files name the institution in each row
    place = None if file_format in {Format.CSV, Format.PLATFORM} else job["institutions"][0]
    out = folder / "out"
    imported = take_in(folder / LINES, out, file_format, Options(institution=place, zone=job["zone"]))
    tables = out / TABLES
    own = _must_be_own(tables, job["institutions"])
    first, last = days_of(tables, zone)
    pack = load_pack(Path(job["rules"]) if job["rules"] else None).for_region(job["region"])
    request = AuditRequest(
        tables,
        first,
        last,
        out,
        only=rules_of_bills(pack),
        rules=Path(job["rules"]) if job["rules"] else None,
        region=job["region"],
        memory_limit=MEMORY,
        threads=THREADS,
        points=[point for point in read_pack(folder / POINTS).points if not point.problem],
    )
    run_audit(request)
    advices, left_out = read_advices(out, tables, pack, zone)
    return {
        "institutions": own,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "billed": imported.billed.rows,
        "billed_fen": int(imported.billed.yuan * 100),
        "not_taken": sum(table.rejected for table in imported.tables.values()),
        "reasons": _reasons(imported),
        "advices": advices,
        "left_out": left_out,
        "persons": sorted({one.person_id for one in read_findings(out) if one.person_id}),
    }


def _must_be_own(tables: Path, institutions: list[str]) -> list[str]:
    codes = pq.read_table(tables / "claim_lines.parquet", columns=["institution_id"])["institution_id"]
    found = sorted(pc.unique(codes).to_pylist())
    others = [code for code in found if code not in institutions]
    if others:
        raise KnowledgeError(
            f"The files hold lines of {others[0][:60]}, with which this account is not registered.",
            why="An institution checks its own month only; nothing was kept.",
            do="Send your own lines, or ask the bureau to register the account with that institution.",
        )
    return found


def _reasons(imported: ImportSummary) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for table in imported.tables.values():
        if table.rejected:
            for reason, rows in table.reasons.items():
                found[reason] = found.get(reason, 0) + rows
    return dict(sorted(found.items(), key=lambda pair: -pair[1])[:MOST_REASONS])


def main(folder: Path) -> None:
    """Work, and write the result or the problem beside the job."""
    os.nice(NICE)
    try:
        (folder / RESULT).write_bytes(orjson.dumps(work(folder)))
    except InputError as error:
        words = {"what": error.what, "why": error.why, "do": error.do}
        own = f"{folder / LINES}/"
        told = {name: text.replace(own, "").replace(str(folder), "") for name, text in words.items()}
        (folder / PROBLEM).write_bytes(orjson.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
