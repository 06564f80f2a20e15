"""Follows a file that grows, is rotated, copied and cut: every whole line, in order, from a checkpoint on.

Where it is not certain that a file is the one that was read, it is read from its beginning: a line may come
twice, none is passed over. Who takes the lines must know those it has (`signing`).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 4096
LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a file was read.

    Args:
        offset: bytes that are done with.
        head_length: how many of its first bytes `head_hash` is of; not more than were read.
        head_hash: SHA-256 (hex) of them: by it the file is known again under another name.
        seen_ns: when it had last been changed as it was read.
    """

    offset: int
    head_length: int
    head_hash: str
    seen_ns: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its end.

    Args:
        content: its bytes; None for one that is longer than any run's.
        header: the file's first line.
        file: the file's name.
        offset: where it begins.
        after: the checkpoint behind it.
    """

    content: bytes | None
    header: bytes
    file: str
    offset: int
    after: Checkpoint


class Tail:
    """A file and what its earlier files are called.

    Args:
        path: the file that is written now.
        rotated: pattern of the names of earlier ones in its folder.
    """

    def __init__(self, path: Path, rotated: str | None = None) -> None:
        self._path = path
        self._rotated = rotated or f"{path.name}.*"

    def changed_ns(self) -> int:
        """Return when the file was last changed.

        Raises:
            OSError: it cannot be read.
        """
        return self._path.stat().st_mtime_ns

    def lines(self, checkpoint: Checkpoint | None) -> Iterator[Line]:
        """Yield what came behind a checkpoint; None begins with the file as it is now.

        Raises:
            OSError: a file cannot be read.
        """
        if checkpoint is None:
            yield from _lines(self._path, 0, ended=False)
            return
        is_current = _is_same(self._path, checkpoint)
        for path in sorted(self._earlier(), key=lambda one: one.stat().st_mtime_ns):
            if _is_same(path, checkpoint):  # also where the current one begins alike: a header says little
                yield from _lines(path, checkpoint.offset, ended=True)
            elif not is_current and path.stat().st_mtime_ns >= checkpoint.seen_ns:
                yield from _lines(path, 0, ended=True)
        yield from _lines(self._path, checkpoint.offset if is_current else 0, ended=False)

    def is_lost(self, checkpoint: Checkpoint | None) -> bool:
        """Whether the file that was read is gone, so that its end was perhaps never seen."""
        return checkpoint is not None and not any(
            _is_same(path, checkpoint) for path in (self._path, *self._earlier())
        )

    def _earlier(self) -> list[Path]:
        found = self._path.parent.glob(self._rotated)
        return [path for path in found if path.is_file() and path != self._path]


def _is_same(path: Path, checkpoint: Checkpoint) -> bool:
    try:
        with path.open("rb") as stream:
            if path.stat().st_size < checkpoint.offset:
                return False
            return _hash(stream.read(checkpoint.head_length)) == checkpoint.head_hash
    except FileNotFoundError:
        return False


def _lines(path: Path, offset: int, *, ended: bool) -> Iterator[Line]:
    """Yield whole lines; of a file that is written no more, also a last one without an end."""
    with path.open("rb") as stream:
        changed = path.stat().st_mtime_ns
        header = stream.readline(LONGEST_LINE)
        stream.seek(offset)
        while part := stream.readline(LONGEST_LINE):
            begun, content = offset, part if len(part) < LONGEST_LINE or part.endswith(b"\n") else None
            while part and not part.endswith(b"\n"):
                rest = stream.readline(LONGEST_LINE)
                if not rest and not ended:
                    return  # half a line: the rest is still to be written
                if rest:
                    content = None
                part = rest
            offset = stream.tell()
            yield Line(content, header, path.name, begun, _checkpoint(path, offset, changed))


def _checkpoint(path: Path, offset: int, changed: int) -> Checkpoint:
    length = min(offset, HEAD_BYTES)
    with path.open("rb") as stream:
        return Checkpoint(offset, length, _hash(stream.read(length)), changed)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
