"""A case as one file that anybody can check without the service.

A ZIP of JSON: `manifest.json` names every other file with its SHA-256; `case.json` is the case with its
doubts; `journal.json` the entries as they were hashed, with hashes and signatures; `evidence/DOUBT.json` the
frozen evidence; `central.json` central's public keys. The same case gives the same bytes, and no other bytes
are a bundle.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from renzheng.central.cases import freezing, journal, records
from renzheng.central.cases.doubts import Case, Doubt
from renzheng.central.cases.errors import BundleError, JournalError
from renzheng.contracts import keys, log
from renzheng.contracts.errors import InputError

FORMAT = "renzheng case bundle v1"
MANIFEST, CASE, JOURNAL, CENTRAL = "manifest.json", "case.json", "journal.json", "central.json"
MOST_BYTES = 500_000_000
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a ZIP can say; a bundle says no other, so that its bytes depend on the case alone."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check of a bundle has found.

    Args:
        case: as the journal makes it.
        doubts: likewise.
        entries: how many steps were done again.
        evidence: how many doubts' evidence has the hash that the journal names.
        log_entries: how many entries of devices have the hash that they are named by.
        pinned: the signatures are by a key that the caller named, and not merely by one of the bundle's own.
    """

    case: Case
    doubts: Mapping[str, Doubt]
    entries: int
    evidence: int
    log_entries: int
    pinned: bool


def write(
    case: Case,
    doubts: Sequence[Doubt],
    kept: Sequence[journal.Kept],
    evidence: Mapping[str, bytes],
    by: Sequence[OKPKey],
) -> bytes:
    """Write a bundle.

    Args:
        case: the case.
        doubts: all of it.
        kept: its journal.
        evidence: frozen, by doubt.
        by: central's keys, those with which it signed before among them.
    """
    files = {
        CASE: records.canonical(
            {"case": records.plain(case), "doubts": [records.plain(one) for one in doubts]}
        ),
        JOURNAL: records.canonical(
            [
                {"entry": one.entry.decode(), "hash": one.hash, "signature": one.signature.decode()}
                for one in kept
            ]
        ),
        CENTRAL: records.canonical([keys.public_pem(key) for key in by]),
        **{f"evidence/{doubt_id}.json": frozen for doubt_id, frozen in evidence.items()},
    }
    manifest = {
        "format": FORMAT,
        "case": case.case_id,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return _packed({**files, MANIFEST: records.canonical(manifest)})


def _packed(files: Mapping[str, bytes]) -> bytes:
    """Pack files without compressing them, so that the bytes do not depend on a library's version."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as packed:
        for name, content in sorted(files.items()):
            packed.writestr(zipfile.ZipInfo(name, _TIME), content)
    return made.getvalue()


def verify(path: Path, by: Sequence[OKPKey] = ()) -> Checked:
    """Check a bundle: its files, the journal's chain and signatures, every step again, and the evidence.

    Args:
        path: the file.
        by: central's keys as the caller knows them; without any, those in the bundle are believed.

    Raises:
        BundleError: something is not what it was, with the name of the file.
    """
    files = _files(path)
    manifest = _json(files, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{MANIFEST} is not of the form {FORMAT!r}.")
    named = dict(manifest.get("files") or {})
    others = sorted((set(files) - {MANIFEST}) ^ set(named))
    if others:
        raise BundleError(f"{others[0]} is missing, or was added.")
    for name, digest in sorted(named.items()):
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise BundleError(f"{name} is not what it was when the bundle was made.")
    checked = _checked(files, str(manifest.get("case")), by)
    if _packed(files) != path.read_bytes():
        raise BundleError(f"{path.name} is not packed as it was written; something was put around it.")
    return checked


def _checked(files: Mapping[str, bytes], case_id: str, by: Sequence[OKPKey]) -> Checked:
    known = list(by)
    if not known:
        try:
            known = [keys.load_public_key(pem) for pem in _json(files, CENTRAL)]
        except (JoseError, ValueError, TypeError) as error:
            raise BundleError(f"{CENTRAL} holds no public keys.") from error
    try:
        entries = journal.verify(case_id, _kept(files), known)
        made = journal.replay(entries)
    except JournalError as error:
        raise BundleError(f"{JOURNAL} does not hold: {error.what}") from error
    shown = _json(files, CASE)
    again = {
        "case": records.plain(made.case) if made.case else None,
        "doubts": [records.plain(made.doubts[name]) for name in sorted(made.doubts)],
    }
    if made.case is None or shown != orjson.loads(records.canonical(again)):
        raise BundleError(f"{CASE} is not what the journal comes to.")
    evidence = log_entries = 0
    for name, doubt in sorted(made.doubts.items()):
        if doubt.evidence_sha256 is None:
            continue
        file = f"evidence/{name}.json"
        if file not in files or freezing.sha256(files[file]) != doubt.evidence_sha256:
            raise BundleError(f"{file} is not the evidence that was frozen when the doubt was confirmed.")
        evidence += 1
        log_entries += _check_log(file, _json(files, file))
    return Checked(made.case, made.doubts, len(entries), evidence, log_entries, pinned=bool(by))


def _check_log(file: str, frozen: Any) -> int:
    """Check that each entry of a device has the hash by which its chain names it."""
    for one in frozen["log"]:
        try:
            hashed = log.read_entry(one["line"].encode()).hash
        except InputError as error:
            raise BundleError(f"{file}: an entry of {one['device_id']} cannot be read.") from error
        if hashed != one["hash"]:
            raise BundleError(
                f"{file}: entry {one['sequence']} of {one['device_id']} is not what was signed."
            )
    return len(frozen["log"])


def _kept(files: Mapping[str, bytes]) -> list[journal.Kept]:
    try:
        return [
            journal.Kept(one["entry"].encode(), one["hash"], one["signature"].encode())
            for one in _json(files, JOURNAL)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{JOURNAL} cannot be read.") from error


def _json(files: Mapping[str, bytes], name: str) -> Any:
    try:
        return orjson.loads(files[name])
    except (KeyError, ValueError) as error:
        raise BundleError(f"{name} is missing, or cannot be read.") from error


def _files(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(one.file_size for one in packed.infolist()) > MOST_BYTES:
                raise BundleError(f"{path.name} opens to more than {MOST_BYTES} bytes.")
            names = packed.namelist()
            if len(set(names)) != len(names):
                raise BundleError(f"{path.name} holds a file twice.")
            return {name: packed.read(name) for name in names}
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BundleError(f"{path.name} is no bundle: {error}.") from error
