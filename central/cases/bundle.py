"""A case as one file that anybody can check without the service; docs/case-bundle.md specifies it.

A ZIP of JSON: `manifest.json` names every other file with its SHA-256 and `manifest.jws` is central's
signature over it; `case.json` is the case with its doubts; `journal.json` the entries as they were hashed,
with hashes and signatures; `evidence/DOUBT.json` the frozen evidence; `batches/SHA256.jws` the devices'
signed batches that it names; `checkpoints.json` the paths from their heads to central's checkpoints;
`central.json` central's public keys. The same case gives the same bytes, and no other bytes are a bundle.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from renzheng.central.cases import freezing, journal, judging, records, seen_evidence, seen_journal
from renzheng.central.cases.checking_log import LogOfADoubt, Shown
from renzheng.central.cases.doubts import Case, Doubt
from renzheng.central.cases.errors import BundleError, JournalError
from renzheng.contracts import keys

FORMAT = "renzheng case bundle v2"
FOR_ITS_INSTITUTION = "renzheng case bundle for its institution v1"
KIND = "case-bundle"
MANIFEST, SIGNATURE, CASE = "manifest.json", "manifest.jws", "case.json"
JOURNAL, CENTRAL, CHECKPOINTS = "journal.json", "central.json", "checkpoints.json"
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
        log: how far the entries of devices are shown.
        judged: lines whose verdict comes to the same from the frozen rows and parameters.
        not_judged: lines for which not all that their verdict rests on was frozen.
        pinned: the signatures are by a key that the caller named, and not merely by one of the bundle's own.
        for_institution: the file is the institution's form of the case.
        withheld: entries of the journal of which such a file has the hash and signature only.
    """

    case: Case
    doubts: Mapping[str, Doubt]
    entries: int
    evidence: int
    log: Shown
    judged: int
    not_judged: int
    pinned: bool
    for_institution: bool = False
    withheld: int = 0


@dataclass(frozen=True, slots=True)
class Proofs:
    """What shows the devices' entries in frozen evidence.

    Args:
        batches: as devices have signed them, by SHA-256.
        paths: audit paths by the size of the checkpoint and the index of the leaf.
    """

    batches: Mapping[str, bytes] = field(default_factory=dict)
    paths: Mapping[tuple[int, int], Sequence[bytes]] = field(default_factory=dict)


NO_PROOFS = Proofs()


def write(  # noqa: PLR0917 - the parts of a case
    case: Case,
    doubts: Sequence[Doubt],
    kept: Sequence[journal.Kept],
    evidence: Mapping[str, bytes],
    by: Sequence[OKPKey],
    proofs: Proofs = NO_PROOFS,
) -> bytes:
    """Write a bundle.

    Args:
        case: the case.
        doubts: all of it.
        kept: its journal.
        evidence: frozen, by doubt.
        by: central's keys, those with which it signed before among them; the first one signs.
        proofs: what shows the devices' entries in the evidence.
    """
    rows = [
        {"entry": one.entry.decode(), "hash": one.hash, "signature": one.signature.decode()} for one in kept
    ]
    return _written(FORMAT, case, doubts, rows, evidence, by, proofs)


def write_for_institution(  # noqa: PLR0917 - the parts of a case
    case: Case,
    kept: Sequence[journal.Kept],
    evidence: Mapping[str, bytes],
    by: Sequence[OKPKey],
    proofs: Proofs = NO_PROOFS,
    elsewhere: Iterable[str] = (),
) -> bytes:
    """Write a bundle as the case's institution may have it.

    Args:
        case: the case, issued.
        kept: its journal.
        evidence: frozen, by doubt; what is not the institution's to know is left out here.
        by: central's keys; the first one signs.
        proofs: what shows the entries of its own devices.
        elsewhere: ids and names of other institutions.
    """
    rows, made = seen_journal.journal_for_institution(case.case_id, case.institution_id, kept)
    if made.case is None:
        raise JournalError("The journal does not begin with the draft of its case.")
    doubts = [made.doubts[name] for name in sorted(made.doubts)]
    seen = {
        one.doubt_id: seen_evidence.evidence_for_institution(evidence[one.doubt_id], elsewhere)
        for one in doubts
        if one.doubt_id in evidence
    }
    named = {place["sha256"] for one in seen.values() for place in orjson.loads(one)["batches"]}
    leaves = {
        (place["checkpoint"]["size"], place["index"])
        for one in seen.values()
        for place in orjson.loads(one)["covered"]
    }
    shown = Proofs(
        {name: one for name, one in proofs.batches.items() if name in named},
        {place: path for place, path in proofs.paths.items() if place in leaves},
    )
    plain = [one.plain() for one in rows]
    return _written(FOR_ITS_INSTITUTION, made.case, doubts, plain, seen, by, shown)


def _written(  # noqa: PLR0917 - the parts of a case
    form: str,
    case: Case,
    doubts: Sequence[Doubt],
    rows: Sequence[Mapping[str, str]],
    evidence: Mapping[str, bytes],
    by: Sequence[OKPKey],
    proofs: Proofs,
) -> bytes:
    files = {
        CASE: records.canonical(
            {"case": records.plain(case), "doubts": [records.plain(one) for one in doubts]}
        ),
        JOURNAL: records.canonical(rows),
        CENTRAL: records.canonical([keys.public_pem(key) for key in by]),
        CHECKPOINTS: records.canonical(
            [
                {"size": size, "index": index, "path": [one.hex() for one in path]}
                for (size, index), path in sorted(proofs.paths.items())
            ]
        ),
        **{f"evidence/{doubt_id}.json": frozen for doubt_id, frozen in evidence.items()},
        **{f"batches/{digest}.jws": envelope for digest, envelope in proofs.batches.items()},
    }
    manifest = {
        "format": form,
        "case": case.case_id,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    written = records.canonical(manifest)
    return _packed({**files, MANIFEST: written, SIGNATURE: keys.sign(_signed(written), by[0], KIND)})


def _signed(manifest: bytes) -> bytes:
    return records.canonical({"manifest_sha256": hashlib.sha256(manifest).hexdigest()})


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
    known = list(by) or _own_keys(files)
    _must_be_signed(files, known)
    if not isinstance(manifest, dict) or manifest.get("format") not in {FORMAT, FOR_ITS_INSTITUTION}:
        raise BundleError(f"{MANIFEST} is not of the form {FORMAT!r}.")
    named = dict(manifest.get("files") or {})
    others = sorted((set(files) - {MANIFEST, SIGNATURE}) ^ set(named))
    if others:
        raise BundleError(f"{others[0]} is missing, or was added.")
    for name, digest in sorted(named.items()):
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise BundleError(f"{name} is not what it was when the bundle was made.")
    part = manifest["format"] == FOR_ITS_INSTITUTION
    checked = _checked(files, str(manifest.get("case")), known, pinned=bool(by), part=part)
    if _packed(files) != path.read_bytes():
        raise BundleError(f"{path.name} is not packed as it was written; something was put around it.")
    return checked


def _own_keys(files: Mapping[str, bytes]) -> list[OKPKey]:
    try:
        return [keys.load_public_key(pem) for pem in _json(files, CENTRAL)]
    except (JoseError, ValueError, TypeError) as error:
        raise BundleError(f"{CENTRAL} holds no public keys.") from error


def _must_be_signed(files: Mapping[str, bytes], known: Sequence[OKPKey]) -> None:
    for key in known:
        with suppress(keys.SignatureError):
            if keys.open_signed(files.get(SIGNATURE, b""), key, KIND) == _signed(files[MANIFEST]):
                return
    raise BundleError(f"{MANIFEST} is not signed by central as it is; its signature is {SIGNATURE}.")


def _checked(
    files: Mapping[str, bytes], case_id: str, known: Sequence[OKPKey], *, pinned: bool, part: bool
) -> Checked:
    rows = _rows(files)
    try:
        if part:
            entries = seen_journal.verify(case_id, rows, known)
        else:
            kept = [journal.Kept(one.entry.encode(), one.hash, one.signature.encode()) for one in rows]
            entries = journal.verify(case_id, kept, known)
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
    frozen = {f"evidence/{one.doubt_id}.json": one for one in made.doubts.values() if one.evidence_sha256}
    proofs = _proofs(files)
    _must_be_named(files, frozen, proofs)
    log, judged = Shown(), [0, 0]
    for file, doubt in sorted(frozen.items()):
        document = _json(files, file)
        named = document.get("of") if part and isinstance(document, dict) else freezing.sha256(files[file])
        if named != doubt.evidence_sha256:
            raise BundleError(f"{file} is not the evidence that was frozen when the doubt was confirmed.")
        try:
            log += LogOfADoubt(
                file, document, proofs.batches, proofs.paths, made.case.institution_id, known
            ).check()
            for line in document["lines"]:
                judged[not _is_judged(file, doubt, line)] += 1
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise BundleError(f"{file} cannot be read.") from error
    return Checked(
        made.case, made.doubts, len(entries), len(frozen), log, judged[0], judged[1], pinned,
        part, len(rows) - len(entries),
    )  # fmt: skip


def _is_judged(file: str, doubt: Doubt, line: Mapping[str, Any]) -> bool:
    """Judge a line again; False when what its verdict rests on is not all there.

    Raises:
        BundleError: it comes to something else than when it was frozen.
    """
    frozen, verdict = line.get("judged"), line.get("verdict")
    if not frozen or not verdict:
        return False
    try:
        again = judging.judge_again(doubt.institution_id, line["line_id"], frozen)
    except judging.ParameterMissingError as error:
        raise BundleError(
            f"{file}: the parameters of a day that {line['line_id']} needs were not frozen."
        ) from error
    said = frozen["comes_to"]
    if (said and (said["verdict"], said["reason"])) != (again and (again.verdict, again.reason)):
        raise BundleError(f"{file}: the line {line['line_id']} comes to another verdict than was frozen.")
    return again is not None and (again.verdict, again.reason) == (verdict["verdict"], verdict["reason"])


def _proofs(files: Mapping[str, bytes]) -> Proofs:
    try:
        paths = {
            (one["size"], one["index"]): [bytes.fromhex(part) for part in one["path"]]
            for one in _json(files, CHECKPOINTS)
        }
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{CHECKPOINTS} cannot be read.") from error
    batches = {}
    for name, content in files.items():
        if name.startswith("batches/"):
            digest = hashlib.sha256(content).hexdigest()
            if name != f"batches/{digest}.jws":
                raise BundleError(f"{name} is not named by its hash.")
            batches[digest] = content
    return Proofs(batches, paths)


def _must_be_named(files: Mapping[str, bytes], frozen: Mapping[str, Doubt], proofs: Proofs) -> None:
    """Refuse files that nothing names: a bundle holds what it needs and no more."""
    usual = {MANIFEST, SIGNATURE, CASE, JOURNAL, CENTRAL, CHECKPOINTS}
    for name in sorted(set(files) - usual - set(frozen)):
        if not name.startswith("batches/"):
            raise BundleError(f"{name} belongs to no doubt of the case.")
    documents = [_json(files, name) for name in frozen if name in files]
    named = {one["sha256"] for document in documents for one in document.get("batches", ())}
    for digest in sorted(set(proofs.batches) - named):
        raise BundleError(f"batches/{digest}.jws is named by no evidence.")


def _rows(files: Mapping[str, bytes]) -> list[seen_journal.Seen]:
    try:
        return [seen_journal.Seen(**one) for one in _json(files, JOURNAL)]
    except TypeError as error:
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
