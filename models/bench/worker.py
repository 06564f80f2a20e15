"""One measured process: `python -m renzheng.models.bench.worker TASK NAME IMAGE...`; prints JSON.

Each engine runs in a process of its own, so that its memory and its cold start are its own.
"""

import time

_STARTED = time.perf_counter()  # before the engine's imports, which belong to its cold start

import json  # noqa: E402 - see above
import resource  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from statistics import median  # noqa: E402
from typing import Any  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from renzheng.models import quality  # noqa: E402
from renzheng.models.analysis import Face, OneFace, PoorQuality  # noqa: E402
from renzheng.models.detection.boxes import Detection  # noqa: E402
from renzheng.models.detection.mmod import MmodDetector  # noqa: E402
from renzheng.models.engine import FaceEngine, load_network, open_engine  # noqa: E402
from renzheng.models.images import decode  # noqa: E402
from renzheng.models.templates import Template  # noqa: E402

Pixels = NDArray[np.uint8]

FRAME_COLUMNS, FRAME_ROWS = 640, 480
_ROUNDS = 5
_MOVED_PX = 6  # between two frames
_CNN_SIDE_PX = 320  # the size at which the library's CNN detector takes a second, not ten


def frame_of(image: Pixels) -> Pixels:
    """Return an image as a camera's frame of 640 x 480, scaled to fit, on black."""
    factor = min(FRAME_COLUMNS / image.shape[1], FRAME_ROWS / image.shape[0])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    frame = np.zeros((FRAME_ROWS, FRAME_COLUMNS, 3), dtype=np.uint8)
    top, left = (FRAME_ROWS - size[1]) // 2, (FRAME_COLUMNS - size[0]) // 2
    frame[top : top + size[1], left : left + size[0]] = scaled
    return frame


def close_up(image: Pixels, engine: FaceEngine) -> Pixels | None:
    """Return the frame of a kiosk's visitor: the face fills a third of its height."""
    face = engine.subject(image)
    if face is None:
        return None
    side = max(face.box.height * 3, 1.0)
    middle_x, middle_y = (face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2
    left, top = max(0, round(middle_x - side * 2 / 3)), max(0, round(middle_y - side / 2))
    cut = image[top : round(middle_y + side / 2), left : round(middle_x + side * 2 / 3)]
    return frame_of(np.ascontiguousarray(cut))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return milliseconds of processor time, of all threads together, and the result."""
    start = time.process_time()
    result = work()
    return (time.process_time() - start) * 1e3, result


def measure_engine(name: str, paths: Sequence[Path]) -> dict[str, Any]:
    """Time every stage of an engine on 640 x 480 frames; the process's peak memory and cold start."""
    engine = open_engine(name, threads=1)
    first = _cold_start(engine, paths[0])
    frames = [frame for path in paths if (frame := close_up(decode(path.read_bytes()), engine)) is not None]
    times: dict[str, list[float]] = {}
    for frame in frames * _ROUNDS:
        _both_verifications(engine, frame, times)
    medians = {stage: round(median(values), 3) for stage, values in times.items() if values}
    return {
        "stages_ms": medians,
        "verify_ms_median": medians.get("verification"),
        "verify_followed_ms_median": medians.get("verification_followed"),
        "frames": len(frames),
        "peak_rss_mb": _peak_rss_mb(),
        "cold_start_s": first,
    }


def _cold_start(engine: FaceEngine, path: Path) -> float:
    """Seconds from the start of the process to the first score."""
    image = decode(path.read_bytes())
    face = engine.subject(image)
    if face is not None:
        template = engine.embed(image, face)
        engine.compare([template], [template])
    return round(time.perf_counter() - _STARTED, 3)


def _both_verifications(engine: FaceEngine, frame: Pixels, times: dict[str, list[float]]) -> None:
    """Verify a face by a look at the whole frame, and then where it was a frame before, a little aside."""

    def stage(name: str, work: Callable[[], Any]) -> Any:
        spent, result = timed(work)
        times.setdefault(name, []).append(spent)
        return result

    found = stage("detect", lambda: engine.detect(frame))
    if not found:
        return
    face = stage("landmarks", lambda: engine.face_of(frame, found[0]))
    stage("quality", lambda: quality.measure(frame, face.box, face.landmarks))
    template = stage("embed", lambda: engine.embed(frame, face))
    stage("compare", lambda: engine.compare([template], [template]))
    moved = np.ascontiguousarray(np.roll(frame, _MOVED_PX, axis=1))
    stage("detect_followed", lambda: engine.find_again(moved, face))
    stage("verification", lambda: _verified(engine, moved, template, None))
    if stage("verification_followed", lambda: _verified(engine, moved, template, face)) is not True:
        times["verification_followed"].pop()


def _verified(engine: FaceEngine, frame: Pixels, reference: Template, last: Face | None) -> bool | None:
    """Do what a kiosk does with one frame; return whether the face was followed, None without a face."""
    seen = engine.analyse(frame, last=last)
    if not isinstance(seen, OneFace | PoorQuality):
        return None
    engine.verify([engine.embed(frame, seen.face)], [reference])
    return seen.face.followed


def measure_library(_: str, paths: Sequence[Path]) -> dict[str, Any]:
    """Time face_recognition and the engine `dlib` in turn on the same faces and images."""
    from renzheng.models.evaluation.library import load_library  # noqa: PLC0415 - only this process pays for it

    library = load_library()
    engine = open_engine("dlib", threads=1)
    mmod = MmodDetector(load_network("dlib-mmod", 1))
    embed: list[tuple[float, float]] = []
    detect: list[tuple[float, float]] = []
    for path in paths:
        image = decode(path.read_bytes())
        face = engine.subject(image)
        if face is None:
            continue
        embed += _embed_both(library, engine, image, face)
        detect.append(_detect_both(library, mmod, image))
    library_embed, our_embed = (median(each) for each in zip(*embed, strict=True))
    library_detect, our_detect = (median(each) for each in zip(*detect, strict=True))
    return {
        "library_embed_ms": round(library_embed, 3),
        "embed_ms": round(our_embed, 3),
        "embed_ratio": round(library_embed / our_embed, 2),
        "library_detect_cnn_ms": round(library_detect, 3),
        "detect_cnn_ms": round(our_detect, 3),
        "detect_cnn_ratio": round(library_detect / our_detect, 2),
        "peak_rss_mb": _peak_rss_mb(),
    }


def _embed_both(library: Any, engine: FaceEngine, image: Pixels, face: Face) -> list[tuple[float, float]]:
    """Five points, alignment and network, in turn by the library and by us."""
    box = face.box
    place = (round(box.top), round(box.right), round(box.bottom), round(box.left))
    results = []
    for _ in range(3):
        theirs, _unused = timed(lambda: library.face_encodings(image, known_face_locations=[place]))
        ours, _unused = timed(lambda: engine.embed(image, engine.face_of(image, Detection(box, 0.0))))
        results.append((theirs, ours))
    return results


def _detect_both(library: Any, mmod: MmodDetector, image: Pixels) -> tuple[float, float]:
    factor = _CNN_SIDE_PX / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    theirs, _ = timed(lambda: library.face_locations(small, number_of_times_to_upsample=0, model="cnn"))
    ours, _ = timed(lambda: mmod.detect(small))
    return theirs, ours


def _peak_rss_mb() -> float:
    """Return this program's peak memory; getrusage would count what its parent had when it started it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) / 1024, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


_TASKS = {"engine": measure_engine, "library": measure_library}


def main(arguments: Sequence[str]) -> None:
    """Run one task and print its result."""
    task, name, *paths = arguments
    cv2.setNumThreads(1)
    result = _TASKS[task](name, [Path(path) for path in paths])
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
