"""Templates: the numbers that stand for a face, and what they may be compared with."""

from dataclasses import dataclass
from typing import NewType

import numpy as np
from numpy.typing import NDArray

from renzheng.models.errors import TemplateDamagedError, TemplateMismatchError

Values = NDArray[np.float32]

ModelId = NewType("ModelId", str)
"""Which networks made a template: `name:twelve digits of its SHA-256:length`, several joined by `+`."""

KeyId = NewType("KeyId", str)
"""Under which key a template was transformed; the empty string: under none."""

NO_KEY = KeyId("")
_SHA_DIGITS = 12
_SEPARATOR = b"\0"


@dataclass(frozen=True)
class Template:
    """One face's numbers.

    Attributes:
        values: float32, (length,); the outputs of the networks of `model`, one behind the other, as they
            came.
        model: which networks made them.
        key: under which key they were transformed (`renzheng.models.protection`), or `NO_KEY`.
    """

    values: Values
    model: ModelId
    key: KeyId = NO_KEY

    def __post_init__(self) -> None:
        if self.values.shape != (sum(lengths(self.model)),):
            raise TemplateMismatchError(
                f"{self.values.shape} numbers are no template of {self.model}.",
                do="Compute the template again from the photograph.",
            )
        if not np.all(np.isfinite(self.values)):
            raise TemplateDamagedError(
                "A template holds numbers that are not finite.", do="Compute it again."
            )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Template)
            and (self.model, self.key) == (other.model, other.key)
            and bool(np.array_equal(self.values, other.values))
        )

    def __hash__(self) -> int:
        return hash((self.model, self.key, self.values.tobytes()))

    def __repr__(self) -> str:
        # A template is personal data: it must not slip into a log by being printed.
        return f"Template(model={self.model!r}, key={self.key!r})"

    def to_bytes(self) -> bytes:
        """Return model, key and little-endian float32 values as bytes, unprotected: see `protection`."""
        head = _SEPARATOR.join((self.model.encode(), self.key.encode(), b""))
        return head + self.values.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Template":
        """Read what `to_bytes` wrote.

        Raises:
            TemplateDamagedError: it did not.
        """
        try:
            model, key, values = data.split(_SEPARATOR, 2)
            return cls(
                np.frombuffer(values, dtype="<f4").astype(np.float32),
                ModelId(model.decode()),
                KeyId(key.decode()),
            )
        except (ValueError, TemplateMismatchError) as error:
            raise TemplateDamagedError("The bytes are no template.", do="Enrol the person again.") from error


def model_id(parts: list[tuple[str, str, int]]) -> ModelId:
    """Return the id of templates made by these networks: (name, SHA-256, length of the output)."""
    return ModelId("+".join(f"{name}:{sha256[:_SHA_DIGITS]}:{length}" for name, sha256, length in parts))


def lengths(model: ModelId) -> tuple[int, ...]:
    """Return the lengths of a template's parts.

    Raises:
        TemplateMismatchError: this is no id of a model.
    """
    try:
        return tuple(int(part.split(":")[2]) for part in model.split("+"))
    except (IndexError, ValueError):
        raise TemplateMismatchError(f"{model!r} is no id of a model.", do="Enrol the person again.") from None


def names(model: ModelId) -> tuple[str, ...]:
    """Return the names of the networks that made a template's parts."""
    return tuple(part.split(":")[0] for part in model.split("+"))


def parts(values: NDArray[np.floating], model: ModelId) -> list[NDArray[np.floating]]:
    """Split the last axis of `values` into the parts of the model's networks (views)."""
    return np.split(values, np.cumsum(lengths(model))[:-1], axis=-1)


def require_same(*templates: Template) -> None:
    """Raise `TemplateMismatchError` unless all were made by one model under one key."""
    kinds = {(template.model, template.key) for template in templates}
    if len(kinds) > 1:
        raise TemplateMismatchError(
            "Templates of different models or keys do not compare: "
            + ", ".join(sorted(f"{model} under key {key or 'none'}" for model, key in kinds)),
            why="Their numbers mean different things; a score would be an accident.",
            do="Compute the older ones again from their photographs, or re-issue them under the present key.",
        )
