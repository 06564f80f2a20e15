"""Decoding in a program of its own: what a camera sends may be anything, and must not bring the agent down.

Debian's `ffmpeg` takes Annex B on its input and gives raw pictures on its output. It opens no address and no
file, its memory is limited, and it is killed when it gets stuck.
"""

import os
import resource
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.contracts.errors import FaultError
from renzheng.edge.ward.rtsp import Codec
from renzheng.models.sides import LARGEST_PIXELS, LARGEST_SIDE_PX

LARGEST_WIDTH_PX = 1920
_LARGEST_MEMORY_BYTES = 1_500_000_000
_STUCK_SECONDS = 5.0
STARTING_SECONDS = 20.0
"""Many decoders that start at once on a busy machine take this long to their first picture."""

_FORMATS = {Codec.H264: "h264", Codec.H265: "hevc"}


class DecoderMissingError(FaultError):
    """The program that decodes is not on this machine."""


class DecoderError(FaultError):
    """The program that decodes has ended or is stuck."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture.

    Args:
        planes: uint8, (rows * 3 / 2, columns): luminance, then both colours at half size (I420).
    """

    planes: NDArray[np.uint8]

    @property
    def grey(self) -> NDArray[np.uint8]:
        """The luminance, (rows, columns); no copy."""
        return self.planes[: len(self.planes) * 2 // 3]

    def rgb(self) -> NDArray[np.uint8]:
        """The picture in RGB, (rows, columns, 3)."""
        return np.asarray(cv2.cvtColor(self.planes, cv2.COLOR_YUV2RGB_I420), np.uint8)


class Decoder:
    """One running decoder.

    Args:
        codec: of what it is fed.
        on_picture: called with each picture, from a thread of the decoder's.

    Raises:
        DecoderMissingError: there is no ffmpeg.
    """

    def __init__(self, codec: Codec, on_picture: Callable[[Picture], None]) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise DecoderMissingError(
                "ffmpeg is not on this machine.",
                why="Ward cameras' pictures are decoded by it.",
                do="Install it: apt-get install --no-install-recommends ffmpeg",
            )
        self._on_picture = on_picture
        self.fed = 0
        self.given = 0
        self.unanswered_since: float | None = None
        self._process = subprocess.Popen(
            [program, *_ARGUMENTS_BEFORE, "-f", _FORMATS[codec], "-i", "pipe:0", *_ARGUMENTS_AFTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={"PATH": os.defpath},
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        limit = (_LARGEST_MEMORY_BYTES, _LARGEST_MEMORY_BYTES)
        resource.prlimit(self._process.pid, resource.RLIMIT_AS, limit)
        self._thread = threading.Thread(target=self._run, name="decoder", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._process.poll() is None

    def feed(self, content: bytes) -> None:
        """Hand a picture in; the first goes in twice, since probing its form swallows it.

        Raises:
            DecoderError: the program has ended, or takes nothing for five seconds (twenty before its first
                picture).
        """
        assert self._process.stdin is not None
        out = self._process.stdin.fileno()
        rest = memoryview(content if self.fed else content + content)
        deadline = time.monotonic() + (_STUCK_SECONDS if self.given else STARTING_SECONDS)
        if self.unanswered_since is None:
            self.unanswered_since = time.monotonic()
        try:
            while rest:
                if not select.select([], [out], [], max(0.0, deadline - time.monotonic()))[1]:
                    raise DecoderError("The decoder is stuck.", do="It is started anew.")
                rest = rest[os.write(out, rest) :]
        except OSError as error:
            raise DecoderError(
                f"The decoder has ended: {type(error).__name__}.", do="It is started anew."
            ) from None
        self.fed += 1

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        self._thread.join(timeout=10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _run(self) -> None:
        assert self._process.stdout is not None
        output = os.fdopen(os.dup(self._process.stdout.fileno()), "rb", buffering=0)
        with output:
            pipe = output.fileno()
            size = _read_header(pipe)
            if size is None:
                return
            columns, rows = size
            while _read_line(pipe) is not None:
                planes = np.empty((rows * 3 // 2, columns), dtype=np.uint8)
                if not _read_into(pipe, memoryview(planes.data).cast("B")):
                    return
                self.given += 1
                self.unanswered_since = None
                self._on_picture(Picture(planes))


_ARGUMENTS_BEFORE = (
    "-nostdin", "-hide_banner", "-loglevel", "quiet", "-protocol_whitelist", "pipe", "-threads", "1",
    "-max_pixels", str(LARGEST_PIXELS),
    "-flags", "low_delay", "-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0",
)  # fmt: skip
_ARGUMENTS_AFTER = (
    "-an", "-vf", f"scale=w='min({LARGEST_WIDTH_PX},trunc(iw/2)*2)':h=-2", "-vsync", "passthrough",
    "-filter_threads", "1", "-pix_fmt", "yuv420p", "-flush_packets", "1", "-f", "yuv4mpegpipe", "pipe:1",
)  # fmt: skip


def _read_header(pipe: int) -> tuple[int, int] | None:
    line = _read_line(pipe)
    if line is None:
        return None
    values = {part[:1]: part[1:] for part in line.decode("ascii", errors="replace").split(" ")}
    columns, rows = int(values.get("W", "0")), int(values.get("H", "0"))
    return (columns, rows) if columns > 0 and 0 < rows <= LARGEST_SIDE_PX else None


def _read_line(pipe: int) -> bytes | None:
    """Read up to the end of a line: a header of a few dozen bytes, or the six of a frame's."""
    line = b""
    while len(line) < 500:  # noqa: PLR2004 - no header is longer
        byte = os.read(pipe, 1)
        if not byte:
            return None
        if byte == b"\n":
            return line
        line += byte
    return None


def _read_into(pipe: int, space: memoryview) -> bool:
    while space:
        count = os.readv(pipe, [space])
        if count == 0:
            return False
        space = space[count:]
    return True
