"""One hook through which every intermediate value of a recognition can be captured."""

from collections.abc import Mapping
from typing import Any, Protocol


class Transparency(Protocol):
    """Receives each stage's result under the stage's name; must not change it.

    The stages, in their order: `image`, `detections`, `chosen`, `landmarks`, `quality`, `aligned` (a mapping
    of embedder to chip), `template`, `comparison`, `decision`.
    """

    def __call__(self, stage: str, value: Any) -> None:
        """Take one stage's result."""


def opaque(stage: str, value: Any) -> None:
    """Capture nothing: the default."""


class Captured:
    """A hook that keeps the last result of every stage.

    A capture holds images and templates: it belongs in a test or a laboratory, not in a log.
    """

    def __init__(self) -> None:
        self._stages: dict[str, Any] = {}

    def __call__(self, stage: str, value: Any) -> None:
        """Keep one stage's result."""
        self._stages[stage] = value

    @property
    def stages(self) -> Mapping[str, Any]:
        """The results so far, in the order of the stages."""
        return dict(self._stages)
