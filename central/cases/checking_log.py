"""Checks the devices' signed log behind frozen evidence; values in, the first fault out."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from renzheng.central.cases.errors import BundleError
from renzheng.central.cases.frozen_log import key_of, leaf_of
from renzheng.central.verify.checkpoint import CheckpointError, root_by
from renzheng.central.verify.publish import read_kept_note
from renzheng.contracts import keys, log
from renzheng.contracts.errors import InputError
from renzheng.contracts.log import Head


@dataclass(frozen=True, slots=True)
class Shown:
    """How far the entries of one doubt are shown.

    Args:
        entries: those with the hash that they are named by.
        signed: those in a batch whose signature holds by the device's key of then.
        covered: those from which the chain leads to the head that a checkpoint names.
        left_out: those in a batch of another institution's device, which this file does not hold.
    """

    entries: int = 0
    signed: int = 0
    covered: int = 0
    left_out: int = 0

    def __add__(self, other: "Shown") -> "Shown":
        return Shown(*(getattr(self, name) + getattr(other, name) for name in Shown.__slots__))


class LogOfADoubt:
    """The log behind one doubt's evidence.

    Args:
        file: where the evidence stands, for what is said of it.
        frozen: the evidence.
        envelopes: the batches that there are, by SHA-256; their hashes are checked already.
        paths: by the size of a checkpoint and the index of a leaf, its audit path.
        institution_id: of the case; batches of others' devices may be left out.
        by: central's keys.
    """

    def __init__(  # noqa: PLR0917 - what is checked, and by what
        self,
        file: str,
        frozen: Mapping[str, Any],
        envelopes: Mapping[str, bytes],
        paths: Mapping[tuple[int, int], Sequence[bytes]],
        institution_id: str,
        by: Sequence[OKPKey],
    ) -> None:
        self._file, self._frozen, self._envelopes = file, frozen, envelopes
        self._paths, self._institution_id, self._by = paths, institution_id, by
        self._lines: dict[str, dict[int, bytes]] = {}
        self._left_out: dict[str, list[tuple[int, int]]] = {}

    def check(self) -> Shown:
        """Check entries, signatures, chains and checkpoints.

        Raises:
            BundleError: something does not hold; it names the file.
        """
        self._open_batches()
        covered = [place for one in self._frozen.get("covered", ()) if (place := self._check_chain(one))]
        shown = Shown()
        for one in self._frozen["log"]:
            shown += self._check_entry(one, covered)
        return shown

    def _open_batches(self) -> None:
        known = {(one["device_id"], one["key_id"]): one for one in self._frozen.get("keys", ())}
        for one in self._frozen.get("batches", ()):
            device_id = one["device_id"]
            envelope = self._envelopes.get(one["sha256"])
            if envelope is None:
                if one["institution_id"] == self._institution_id:
                    raise BundleError(f"batches/{one['sha256']}.jws is missing.")
                self._left_out.setdefault(device_id, []).append((one["first"], one["last"]))
                continue
            key = known.get((device_id, one["key_id"]))
            if key is None:
                raise BundleError(f"{self._file}: names no key for a batch of {device_id}.")
            self._open(one, key, envelope)

    def _open(self, one: Mapping[str, Any], key: Mapping[str, Any], envelope: bytes) -> None:
        device_id, first, last = one["device_id"], one["first"], one["last"]
        try:
            public = key_of(key)
            batch = log.open_batch(envelope, public)
        except (InputError, JoseError, ValueError, TypeError) as error:
            raise BundleError(
                f"{self._file}: the batch {first} to {last} of {device_id} is not signed by its key."
            ) from error
        until = key["until_sequence"]
        in_time = key["revoked_at"] is None or _moment(one["received_at"]) < _moment(key["revoked_at"])
        may = key["from_sequence"] <= first and (until is None or last <= until) and in_time
        if not may or key["key_id"] != keys.key_id(public) or batch.device_id != device_id:
            raise BundleError(
                f"{self._file}: the batch {first} to {last} of {device_id} is signed by a key that may not."
            )
        if len(batch.lines) != last - first + 1:
            raise BundleError(
                f"{self._file}: the batch {first} to {last} of {device_id} has another number of entries."
            )
        lines = self._lines.setdefault(device_id, {})
        for sequence, line in enumerate(batch.lines, start=first):
            if lines.setdefault(sequence, line) != line:
                raise BundleError(f"{self._file}: two batches of {device_id} have another entry {sequence}.")

    def _check_chain(self, one: Mapping[str, Any]) -> tuple[str, int, int] | None:
        """Follow a chain to the head of its checkpoint; None when it leads through batches left out."""
        device_id, first, head = one["device_id"], one["from"], one["head"]
        self._check_leaf(one)
        out = self._left_out.get(device_id, ())
        if any(begin <= head and end >= first for begin, end in out):
            return None
        lines = self._lines.get(device_id, {})
        chain = [lines[sequence] for sequence in range(first, head + 1) if sequence in lines]
        reached = None
        try:
            if len(chain) == head - first + 1:
                begun = log.read_entry(chain[0])
                reached = [end for _, end in log.follow(Head(first - 1, begun.previous), chain)][-1]
        except log.LogError as error:
            raise BundleError(
                f"{self._file}: the chain of {device_id} breaks between the entries {first} and {head}."
            ) from error
        if reached != leaf_of(one).head:
            raise BundleError(
                f"{self._file}: the chain of {device_id} from entry {first} does not lead to entry {head}."
            )
        return device_id, first, head

    def _check_leaf(self, one: Mapping[str, Any]) -> None:
        device_id, size = one["device_id"], one["checkpoint"]["size"]
        path = self._paths.get((size, one["index"]))
        if path is None:
            raise BundleError(f"checkpoints.json lacks the path of {device_id} in the checkpoint of {size}.")
        note = None
        with suppress(CheckpointError):
            note = read_kept_note(one["checkpoint"]["note"], self._by)
        if note is None or note.size != size:
            raise BundleError(f"{self._file}: the checkpoint of {size} is not signed by central.")
        if root_by(leaf_of(one).hash(), one["index"], size, path) != note.root:
            raise BundleError(
                f"{self._file}: the checkpoint of {size} does not cover entry {one['head']} of {device_id}."
            )

    def _check_entry(self, one: Mapping[str, Any], covered: Sequence[tuple[str, int, int]]) -> Shown:
        device_id, sequence = one["device_id"], one["sequence"]
        line = one["line"].encode()
        try:
            entry = log.read_entry(line)
        except InputError as error:
            raise BundleError(f"{self._file}: an entry of {device_id} cannot be read.") from error
        if entry.hash != one["hash"] or entry.sequence != sequence:
            raise BundleError(f"{self._file}: entry {sequence} of {device_id} is not what was signed.")
        signed = self._lines.get(device_id, {}).get(sequence)
        if signed is not None and signed != line:
            raise BundleError(f"{self._file}: entry {sequence} of {device_id} is not the one in its batch.")
        left_out = any(first <= sequence <= last for first, last in self._left_out.get(device_id, ()))
        chained = any(name == device_id and first <= sequence <= last for name, first, last in covered)
        return Shown(1, signed is not None, chained, signed is None and left_out)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
