"""Turns photographs into templates, on all cores, with a progress bar."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from renzheng.models.engine import ENGINES, FaceEngine, is_ready, open_engine
from renzheng.models.errors import ImageError, UnknownEngineError
from renzheng.models.evaluation.library import NAME as LIBRARY
from renzheng.models.evaluation.library import LibraryEngine
from renzheng.models.images import decode
from renzheng.models.templates import Template


@dataclass(frozen=True)
class Sample:
    """A photograph's template, or the reason why there is none: `no_face`, or the image error's name."""

    template: Template | None
    reason: str = ""


Acquire = Callable[[Path], Sample]


class Acquirer:
    """Acquires templates with one engine; each worker process holds its own.

    Args:
        engine: the engine's name, `face_recognition` included.
        thorough: average over several cuts of each face.
    """

    def __init__(self, engine: str, *, thorough: bool) -> None:
        self._engine: FaceEngine | LibraryEngine = (
            LibraryEngine() if engine == LIBRARY else open_engine(engine, threads=1)
        )
        self._thorough = thorough

    def __call__(self, path: Path) -> Sample:
        """Acquire one photograph's most prominent face."""
        try:
            image = decode(path.read_bytes())
        except ImageError as error:
            return Sample(None, type(error).__name__)
        if isinstance(self._engine, LibraryEngine):
            template = self._engine.template(image)
            return Sample(template, "" if template else "no_face")
        face = self._engine.subject(image)
        if face is None:
            return Sample(None, "no_face")
        return Sample(self._engine.embed(image, face, thorough=self._thorough))


_WORKER: dict[str, Acquirer] = {}


def check_engine(engine: str) -> None:
    """Look whether an engine can be opened, before processes are started that would each fail.

    Raises:
        UnknownEngineError: there is none of that name.
        ModelMissingError: one of its files is not on this machine.
    """
    if engine == LIBRARY:
        return
    if engine not in ENGINES:
        raise UnknownEngineError(
            f"There is no engine {engine!r}.",
            do=f"Choose one of: {', '.join((*ENGINES, LIBRARY))}.",
            name=engine,
        )
    if not is_ready(engine):
        open_engine(engine)  # names the file that is missing


def acquire_all(
    paths: Sequence[Path], engine: str, *, thorough: bool, workers: int | None = None
) -> Iterator[Sample]:
    """Yield each photograph's sample, in order, as they become ready."""
    workers = min(workers or os.cpu_count() or 1, len(paths))
    if workers <= 1:
        acquire = Acquirer(engine, thorough=thorough)
        yield from (acquire(path) for path in paths)
        return
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start, initargs=(engine, thorough)
    ) as pool:
        yield from pool.map(_acquire, paths, chunksize=2)


def _start(engine: str, thorough: bool) -> None:
    _WORKER["acquirer"] = Acquirer(engine, thorough=thorough)


def _acquire(path: Path) -> Sample:
    return _WORKER["acquirer"](path)
