"""Months that institutions check on the console before they submit them; results are kept for days.

What was uploaded lies on the disk only while it is checked. A result names lines, not persons, and goes after
`KEPT_DAYS`, or when the institution deletes it.
"""

import datetime as dt
import hashlib
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from renzheng.central.checks.in_force import signed_points
from renzheng.central.claims.formats import Format
from renzheng.central.self_check.job import JOB, LINES, POINTS, PROBLEM, RESULT
from renzheng.central.settings import Settings
from renzheng.central.site.succession import verifying_keys
from renzheng.central.store.times import to_us
from renzheng.common.files import write_whole
from renzheng.contracts.errors import InputError
from renzheng.contracts.ids import new_id
from renzheng.rules.knowledge.packfile import KnowledgePack, write_pack

logger = logging.getLogger(__name__)
FORMATS = (Format.NHSA, Format.PLATFORM, Format.CSV)
"""What a month is uploaded as; others by `renzheng check self`."""
MOST_BYTES, MOST_FILES = 256_000_000, 20
MOST_SECONDS = 900.0
MOST_RESULTS = 50
"""Results of one institution; the oldest goes for a new one."""
KEPT_DAYS = 7
SCRATCH, LEFT_SECONDS = ".checking-", 2 * MOST_SECONDS
SWEEP_SECONDS = 3600.0
_PIECE = 1 << 20
_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
Result = dict[str, Any]


class UploadError(InputError):
    """An uploaded month cannot be checked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what.

    Args:
        account: who uploads.
        institutions: for which the account speaks.
        file_format: one of `FORMATS`.
    """

    account: str
    institutions: Collection[str]
    file_format: Format


class Uploads:
    """Checks uploaded months, one at a time, and keeps the results.

    Args:
        settings: of the site.
        clock: when it is.
    """

    def __init__(self, settings: Settings, clock: Callable[[], dt.datetime]) -> None:
        self._settings, self._clock = settings, clock
        self._folder = settings.checks_dir / "self"
        self._working = threading.Lock()

    def check(self, files: Iterable[tuple[str, IO[bytes]]], asked: Asked) -> tuple[Result, Sequence[str]]:
        """Check files and keep the result; return it, and the persons of the lines that it advises on.

        Raises:
            UploadError: nothing was sent, another check is under way, or it took too long.
            InputError: the files cannot be read.
        """
        if not asked.institutions:
            raise UploadError(
                "This account is registered with no institution.",
                do="Ask the bureau to register it with yours.",
            )
        if not self._working.acquire(blocking=False):
            raise UploadError(
                "Another month is being checked at this moment.",
                why="One is checked at a time, so that the console stays quick.",
                do="Send it again in a few minutes.",
            )
        try:
            return self._check(files, asked)
        finally:
            self._working.release()

    def _check(self, files: Iterable[tuple[str, IO[bytes]]], asked: Asked) -> tuple[Result, Sequence[str]]:
        self.sweep()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=self._folder) as scratch:
            folder = Path(scratch)
            file_hash = _write(files, folder / LINES)
            self._lay(folder, asked)
            found = _run(folder)
        persons = found.pop("persons")
        made = {
            "id": new_id(),
            "made_at": to_us(self._clock()),
            "by": asked.account,
            "file_hash": file_hash,
            **found,
        }
        write_whole(self._path(made["id"]), orjson.dumps(made))
        for one in self.listed(found["institutions"])[MOST_RESULTS:]:
            self._path(one["id"]).unlink(missing_ok=True)
        return made, persons

    def _lay(self, folder: Path, asked: Asked) -> None:
        """Lay what the worker reads beside the files."""
        told, today = self._settings.audit, self._clock().date()
        points = signed_points(self._settings.knowledge_dir, verifying_keys(self._settings.key_file), today)
        write_pack(KnowledgePack(tuple(points)), folder / POINTS)
        job = {
            "format": asked.file_format.value,
            "institutions": sorted(asked.institutions),
            "zone": self._settings.timezone,
            "rules": str(told.rules_dir) if told.rules_dir else None,
            "region": told.region,
        }
        (folder / JOB).write_bytes(orjson.dumps(job))

    def listed(self, institutions: Collection[str] | None) -> list[Result]:
        """List the results of institutions (None: all), the newest first."""
        found = []
        for path in self._folder.glob("*.json") if self._folder.is_dir() else ():
            result = self._read(path)
            if result and (institutions is None or set(result["institutions"]) <= set(institutions)):
                found.append(result)
        return sorted(found, key=lambda one: (-one["made_at"], one["id"]))

    def read(self, result_id: str, institutions: Collection[str] | None) -> Result | None:
        """Read a result; None where there is none, or it is not these institutions'."""
        result = self._read(self._path(result_id)) if _ID.fullmatch(result_id) else None
        if result is None or not (institutions is None or set(result["institutions"]) <= set(institutions)):
            return None
        return result

    def delete(self, result: Result) -> None:
        """Delete a result."""
        self._path(result["id"]).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete results that are too old, and what a killed check has left."""
        before = to_us(self._clock() - dt.timedelta(days=KEPT_DAYS))
        for path in list(self._folder.iterdir()) if self._folder.is_dir() else ():
            if path.name.startswith(SCRATCH):
                with suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > LEFT_SECONDS:
                        shutil.rmtree(path, ignore_errors=True)
            elif path.suffix == ".json" and (self._read(path) or {"made_at": 0})["made_at"] < before:
                path.unlink(missing_ok=True)

    def _path(self, result_id: str) -> Path:
        return self._folder / f"{result_id}.json"

    @staticmethod
    def _read(path: Path) -> Result | None:
        try:
            read: Result = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        return read


def _write(files: Iterable[tuple[str, IO[bytes]]], folder: Path) -> str:
    """Write files under the last part of their names; return one hash over all of them."""
    folder.mkdir()
    whole, number, size = hashlib.sha256(), 0, 0
    for number, (name, content) in enumerate(files, start=1):
        base = re.sub(r"[^\w.\-]", "_", Path(name.replace("\\", "/")).name).lstrip(".")[-80:] or "file"
        path = folder / base
        if path.exists():
            path = folder / f"{number}-{base}"
        with path.open("wb") as out:
            while piece := content.read(_PIECE):
                size += len(piece)
                if size > MOST_BYTES:
                    raise UploadError(
                        f"The files are larger than {MOST_BYTES // 1_000_000} MB.",
                        do="Send a part of the month, or check it on your own computer: renzheng check self",
                    )
                whole.update(piece)
                out.write(piece)
    if not size:
        raise UploadError("No file was sent, or it is empty.", do="Choose the files of the month.")
    return whole.hexdigest()


def _run(folder: Path) -> Result:
    """Let a process of its own check a folder.

    Raises:
        UploadError: it took too long, or failed.
        InputError: what it says of the files.
    """
    command = [sys.executable, "-m", "renzheng.central.self_check.worker", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        raise UploadError(
            f"The check was stopped after {MOST_SECONDS / 60:.0f} minutes.",
            do="Send a part of the month, or check it on your own computer: renzheng check self",
        ) from None
    if (folder / PROBLEM).exists():
        raise InputError(**orjson.loads((folder / PROBLEM).read_bytes()))
    if not (folder / RESULT).exists():
        logger.error("a self-check failed: %s", done.stderr.decode("utf-8", "replace")[-2000:])
        raise UploadError(
            "The files could not be checked; the service's log says why.",
            why="It is not known whether they are right.",
            do="Send them again, or tell the bureau.",
        )
    result: Result = orjson.loads((folder / RESULT).read_bytes())
    return result


def by_rule(advices: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add advices up by rule, the dearest first."""
    amounts, counts = Counter[str](), Counter[str]()
    for one in advices:
        amounts[one["rule_id"]] += one["amount_fen"]
        counts[one["rule_id"]] += len(one["lines"])
    first = {one["rule_id"]: one for one in reversed(advices)}
    return [
        {
            "rule_id": rule_id,
            "title_zh": first[rule_id]["title_zh"],
            "title_en": first[rule_id]["title_en"],
            "amount_fen": amount,
            "lines": counts[rule_id],
        }
        for rule_id, amount in sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
