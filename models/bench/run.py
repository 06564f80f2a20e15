"""Starts the measured processes, one after the other, and puts their results together."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from renzheng.common.terminal import table
from renzheng.common.words import say
from renzheng.models.conversion.convert import SOURCES, ensure_converted
from renzheng.models.engine import ENGINES, is_ready
from renzheng.models.errors import BenchError, PairsFileError
from renzheng.models.evaluation.sets import is_photograph

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_TIMEOUT_SECONDS = 1800

Step = Callable[[str, int, int], None]


def run(folder: Path, most: int, step: Step) -> dict[str, Any]:
    """Measure; the keys are stable and explained in docs/faces.md.

    Args:
        folder: photographs, at any depth.
        most: how many to use at most, spread evenly over all that there are.
        step: told what is measured now, how many measurements are done, and of how many.

    Raises:
        PairsFileError: no photographs.
        BenchError: a measured process failed.
    """
    paths = chosen(folder, most)
    for name in SOURCES:
        ensure_converted(name)
    ready = [name for name in ENGINES if is_ready(name)]
    tasks = [("library", "face_recognition"), *(("engine", name) for name in ready)]
    results: dict[str, dict[str, Any]] = {}
    for done, (task, name) in enumerate(tasks):
        step(name, done, len(tasks))
        results[name] = _measured(task, name, paths)
    step("done", len(tasks), len(tasks))
    library, dlib = results.pop("face_recognition"), results["dlib"]
    return {
        "embed_ratio": library["embed_ratio"],
        "detect_cnn_ratio": library["detect_cnn_ratio"],
        "verify_ms_median": dlib["verify_ms_median"],
        "verify_followed_ms_median": dlib["verify_followed_ms_median"],
        "peak_rss_mb": dlib["peak_rss_mb"],
        "cold_start_s": dlib["cold_start_s"],
        "images": len(paths),
        "library": library,
        "engines": results,
        "skipped": [name for name in ENGINES if name not in ready],
    }


def chosen(folder: Path, most: int) -> list[Path]:
    """Return at most `most` photographs, evenly spread over the sorted folder."""
    found = sorted(
        path for path in folder.rglob("*") if is_photograph(path.relative_to(folder)) and path.is_file()
    )
    if not found:
        raise PairsFileError(f"There are no photographs in {folder}.", do="Name a folder that holds some.")
    count = min(most, len(found))
    return [found[index * len(found) // count] for index in range(count)]


def _measured(task: str, name: str, paths: Sequence[Path]) -> dict[str, Any]:
    command = [sys.executable, "-m", "renzheng.models.bench.worker", task, name, *map(str, paths)]
    finished = subprocess.run(
        command,
        env=os.environ | _ONE_THREAD,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if finished.returncode:
        raise BenchError(
            f"Measuring {name} failed.", why=finished.stderr.strip()[-400:], do="Mend that first."
        )
    result: dict[str, Any] = json.loads(finished.stdout)
    return result


_STAGES = {
    "detect": "detect",
    "detect_followed": "find again",
    "landmarks": "landmarks",
    "quality": "quality",
    "embed": "embed",
    "compare": "compare",
    "verification": "verify, whole frame",
    "verification_followed": "verify, followed face",
}


def as_table(result: dict[str, Any]) -> Table:
    """Return what a person wants to read first."""
    library = result["library"]
    title = say(
        "processor time on one thread; embedding {0} x, CNN detection {1} x as fast as face_recognition "
        "({2} and {3} ms)",
        *(result["embed_ratio"], result["detect_cnn_ratio"]),
        *(f"{library[f'library_{stage}_ms']:.0f}" for stage in ("embed", "detect_cnn")),
    )
    stages = [f"{head} ms" for head in _STAGES.values()]
    shown = table("engine", *stages, "peak MB", "start s", title=title, numbers=len(stages) + 2)
    for name, measured in result["engines"].items():
        shown.add_row(
            name,
            *(f"{measured['stages_ms'].get(stage, float('nan')):.1f}" for stage in _STAGES),
            f"{measured['peak_rss_mb']:.0f}",
            f"{measured['cold_start_s']:.2f}",
        )
    for name in result["skipped"]:
        shown.add_row(name, say("model files are not here"), *[""] * (len(_STAGES) + 1))
    return shown
