"""MLLP: messages between a vertical tab and a file separator with a carriage return, and nothing else."""

from dataclasses import dataclass

START, END = b"\x0b", b"\x1c\r"
MOST_BYTES = 256 * 1024
"""Largest message taken; an ADT message has some two thousand bytes."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The stream is not MLLP from here on; what came is handed over, so that it can be kept."""

    why: str
    content: bytes


class Framer:
    """Cuts a stream of bytes into messages; after one `Broken` it takes no more."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._broken = False

    def feed(self, part: bytes) -> list[bytes | Broken]:
        """Take what came and give the messages that are whole by now."""
        found: list[bytes | Broken] = []
        self._held += part
        while self._held and not self._broken:
            if not self._held.startswith(START):
                found.append(self._break("a message does not begin with a vertical tab"))
                break
            end = self._held.find(b"\x1c")
            if end < 0 or end + 1 == len(self._held):
                if len(self._held) > MOST_BYTES:
                    found.append(self._break(f"a message is larger than {MOST_BYTES} bytes"))
                break
            if self._held[end : end + 2] != END or end > MOST_BYTES:
                found.append(self._break("a message does not end with a file separator and a return"))
                break
            found.append(bytes(self._held[1:end]))
            del self._held[: end + 2]
        return found

    @property
    def unfinished(self) -> bytes:
        """What is held of a message that has not ended."""
        return bytes(self._held)

    def _break(self, why: str) -> Broken:
        self._broken = True
        content = bytes(self._held[:MOST_BYTES])
        self._held.clear()
        return Broken(why, content)


def frame(message: bytes) -> bytes:
    """Put a message into its frame."""
    return START + message + END
