"""HEIC and AVIF, as telephones save them, decoded in a process of their own.

Their headers can be read (`renzheng.models.sides`), but the pixels are in a video stream that has sizes of
its own, which the decoder believes. So it runs where the system stops it: with an address space and a
processor time of which an honest photograph needs a part. `renzheng.models.images` is the only caller.

The decoder without an encoder (`pi-heif`) is taken for HEIC: the encoders in the fuller package are under a
licence that this product's is not compatible with. AVIF is read by Pillow itself.
"""

import subprocess
import sys

import numpy as np
from numpy.typing import NDArray

from renzheng.models.errors import ImageTooLargeError
from renzheng.models.sides import Format, damaged

Pixels = NDArray[np.uint8]

DAMAGED = 3
"""Exit status of the process for a file that cannot be read to its end; its output says why."""
_PROCESS = "renzheng.models.phone_decoder"
_MOST_SECONDS = 600
"""On a machine that is busy, or asleep in between."""


def decode_apart(data: bytes, form: Format) -> Pixels:
    """Decode a HEIC or AVIF file to upright RGB, (rows, columns, 3).

    Raises:
        TruncatedImageError: it is damaged, or its pixels are not what its header says.
        ImageTooLargeError: decoding it takes more memory or time than any honest photograph.
    """
    command = [sys.executable, "-m", _PROCESS, form]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_MOST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _too_much() from None
    head, _, content = done.stdout.partition(b"\n")
    sides = head.split()
    if done.returncode == 0 and len(sides) == 2:  # noqa: PLR2004 - columns and rows
        columns, rows = (int(side) for side in sides)
        if len(content) == rows * columns * 3:
            return np.frombuffer(content, np.uint8).reshape(rows, columns, 3)
    if done.returncode == DAMAGED:
        raise damaged(head.decode(errors="replace"))
    raise _too_much()


def _too_much() -> ImageTooLargeError:
    return ImageTooLargeError(
        "The photograph takes far too much memory or time to decode.",
        why="Its stream holds more than its header says.",
        do="Send it as a JPEG.",
    )
