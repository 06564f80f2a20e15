"""Which face engine a device uses: the one that its settings name, else the best whose files are here.

A template compares only with templates of the same model. So a device where people are enrolled keeps the
engine that their references are of until its settings name another, and says that a better one is here.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.people import People, people_by_model
from renzheng.edge.errors import SettingsError
from renzheng.edge.look.faces import FaceEngine
from renzheng.edge.settings import Settings
from renzheng.models.engine import BEST_FIRST, ENGINES, model_of, open_engine, ready_engines
from renzheng.models.engine import FaceEngine as LoadedEngine
from renzheng.models.errors import ModelMissingError
from renzheng.models.liveness.network import LivenessNetwork, open_if_here

LOGGER = logging.getLogger(__name__)
BEST = "best"


@dataclass(frozen=True, slots=True)
class ChosenEngine:
    """An engine by name, opened as often as it is needed.

    Args:
        name: one of renzheng.models.engine.ENGINES.
        folder: `face.model_dir`.
    """

    name: str
    folder: Path | None

    def open(self) -> LoadedEngine:
        """Load the engine.

        Raises:
            ModelMissingError: a model file is not on this machine.
            ModelFileError: a model file is not what its card says.
        """
        try:
            return open_engine(self.name, threads=1, folder=self.folder)
        except ModelMissingError as error:
            raise ModelMissingError(
                f"The engine {self.name} cannot be used: {error.what}",
                why="No face can be compared without it, and references of another engine do not serve.",
                do=f"{error.do} Or set face.engine to one whose files are here"
                f" ({', '.join(ready_engines(self.folder))}); who is enrolled with {self.name} is then"
                " enrolled again.",
            ) from None

    def open_network(self) -> LivenessNetwork | None:
        """Load the liveness network where its file is on this machine.

        Raises:
            ModelFileError: the file is not what its card says.
        """
        return open_if_here(folder=self.folder)


def choose_engine(settings: Settings) -> ChosenEngine:
    """Choose the device's engine; its references are looked at, nothing is loaded.

    Raises:
        SettingsError: face.engine names none, or face.model_dir is no folder.
        StoreError: the store cannot be opened.
    """
    face = settings.face
    if face.model_dir is not None and not face.model_dir.is_dir():
        raise SettingsError(
            f"face.model_dir names {face.model_dir}, which is no folder.",
            why="The model files that are meant would silently be left out.",
            do="Make the folder and put the files there, or leave the key out.",
        )
    if face.engine not in (BEST, *ENGINES):
        raise SettingsError(
            f"face.engine names {face.engine!r}, which is no engine.",
            do=f"Write one of: {', '.join((BEST, *ENGINES))}.",
        )
    if face.engine != BEST:
        return ChosenEngine(face.engine, face.model_dir)
    store = Store(settings.device.data_dir / "device.sqlite")
    try:
        enrolled = people_by_model(store)
    finally:
        store.close()
    return ChosenEngine(best_of(ready_engines(face.model_dir), enrolled), face.model_dir)


def best_of(ready: Sequence[str], enrolled: Mapping[str, int]) -> str:
    """Return the best engine: of those that most of the enrolled people have references of, else of all.

    Args:
        ready: engines whose files are here, best first; at least one.
        enrolled: how many people have references of each model.
    """
    most = max(enrolled, key=lambda model: enrolled[model], default=None)
    return next((name for name in ready if model_of(name) == most), ready[0])


def better_engine(name: str, folder: Path | None) -> str | None:
    """Return the best engine that is on this machine, where it is better than the engine `name`."""
    best = ready_engines(folder)[0]
    behind = name in BEST_FIRST and BEST_FIRST.index(best) < BEST_FIRST.index(name)
    return best if behind else None


class EngineReport:
    """What health and the running log say of the engine in force.

    Args:
        engine: which.
        people: whose references are looked at.
        folder: `face.model_dir`.
    """

    def __init__(self, engine: FaceEngine, people: People, folder: Path | None) -> None:
        self._engine = engine
        self._people = people
        self.better = better_engine(engine.name, folder)

    def to_enrol_again(self) -> int:
        """Return how many people have references of other engines only."""
        return self._people.count_to_enrol_again(self._engine.model)

    def health(self) -> dict[str, Any]:
        """Return the part `engine` of the health page."""
        return {
            "name": self._engine.name,
            "model": self._engine.model,
            "better": self.better,
            "enrol_again": self.to_enrol_again(),
        }

    def log(self) -> None:
        """Write to the running log what is in force, and what somebody should do about it."""
        LOGGER.info("face engine %s (%s)", self._engine.name, self._engine.model)
        if self.better is not None:
            LOGGER.info(
                "a better face engine is here: set face.engine = %r; who is enrolled is then enrolled again",
                self.better,
            )
        again = self.to_enrol_again()
        if again:
            LOGGER.warning(
                "%d people have references of another face engine only: enrol them again;"
                " until then they are identified the other way",
                again,
            )
