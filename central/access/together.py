"""Writes what many threads hand in at the same moment in one transaction, so that each waits for one sync."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class _Handed(Generic[T, R]):
    """What one thread has handed in, and what came of it."""

    value: T
    result: R | None = None
    error: BaseException | None = None
    done: bool = False


class Together(Generic[T, R]):
    """Lets the first of the threads that wait write for all of them.

    Args:
        write: writes several values durably and returns a result for each; what it raises, all of them raise.
        most: values written at once.
    """

    def __init__(self, write: Callable[[Sequence[T]], Sequence[R]], most: int = 200) -> None:
        self._write, self._most = write, most
        self._waiting: list[_Handed[T, R]] = []
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def write(self, value: T) -> R:
        """Return the result of a value once it is written."""
        mine: _Handed[T, R] = _Handed(value)
        with self._lock:
            self._waiting.append(mine)
        with self._turn:
            while not mine.done:
                self._write_some()
        if mine.error is not None:
            raise mine.error
        assert mine.result is not None
        return mine.result

    def _write_some(self) -> None:
        with self._lock:
            some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            for one, result in zip(some, self._write([one.value for one in some]), strict=True):
                one.result = result
        except BaseException as error:  # noqa: BLE001 - raised in each thread that handed something in
            for one in some:
                one.error = error
        finally:
            for one in some:
                one.done = True
