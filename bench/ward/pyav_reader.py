"""Reads cameras with PyAV, key frames only, and writes pictures to its output: number, rows, columns, I420.

Started by `renzheng bench readers`, one process a camera or one for all. It imports nothing of ours.
"""

import contextlib
import json
import sys
import threading
import time
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import av
from av.logging import PANIC, set_level

_OPEN_SECONDS, _READ_SECONDS = 5.0, 10.0
_LARGEST_WIDTH_PX = 1920
_WRITING = threading.Lock()


def main() -> None:
    """Read what to open from the input, and open it."""
    set_level(PANIC)
    told = json.loads(sys.stdin.readline())
    threads = [
        threading.Thread(target=follow, args=(int(number), address_of(url, told["user"], told["password"])))
        for number, url in told["urls"].items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def address_of(url: str, user: str, password: str) -> str:
    """Put user and password into an address, the only way in which FFmpeg takes them."""
    parts = urlsplit(url)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return urlunsplit(parts._replace(netloc=login + parts.netloc))


def follow(number: int, address: str) -> None:
    """Open a camera, again and again when it fails; FFmpeg's errors hold the password, and are not shown."""
    while True:
        with contextlib.suppress(av.FFmpegError):
            decode(number, address)
        time.sleep(1)


def decode(number: int, address: str) -> None:
    """Decode a camera's key frames until it fails."""
    options = {
        "rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay",
        "allowed_media_types": "video", "analyzeduration": "500000", "probesize": "500000",
    }  # fmt: skip
    with av.open(address, options=options, timeout=(_OPEN_SECONDS, _READ_SECONDS)) as camera:
        video = camera.streams.video[0]
        video.codec_context.skip_frame = "NONKEY"
        video.codec_context.thread_count = 1
        for packet in camera.demux(video):
            if packet.is_keyframe and packet.size:
                for frame in packet.decode():
                    hand_over(number, frame)


def hand_over(number: int, frame: Any) -> None:
    """Write one picture."""
    if frame.width > _LARGEST_WIDTH_PX or frame.format.name != "yuv420p":
        share = min(1.0, _LARGEST_WIDTH_PX / frame.width)
        size = round(frame.width * share / 2) * 2, round(frame.height * share / 2) * 2
        frame = frame.reformat(*size, format="yuv420p")
    planes = frame.to_ndarray()
    rows, columns = planes.shape
    head = b"".join(value.to_bytes(4) for value in (number, rows, columns))
    with _WRITING:
        sys.stdout.buffer.write(head)
        sys.stdout.buffer.write(planes.data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
