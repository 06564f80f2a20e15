"""One loaded ONNX network: checked against its card, run on the CPU."""

import logging
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from renzheng.models.errors import ModelFileError, ModelMissingError
from renzheng.models.runtime import InferenceSession, SessionOptions

log = logging.getLogger(__name__)

_WARNINGS_ONLY_IF_FATAL = 3


class Network:
    """An ONNX network with one input and one or more outputs.

    Args:
        path: the file.
        threads: how many threads one run may use.
        expected_sha256: refuse any other file.

    Raises:
        ModelMissingError: there is no such file.
        ModelFileError: empty, damaged, or not the file of the card.
    """

    def __init__(self, path: Path, *, threads: int = 1, expected_sha256: str | None = None) -> None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise ModelMissingError(
                f"The model file {path.name} is not in {path.parent}.",
                why="Without it no face can be compared.",
                do="Run: renzheng models convert (dlib's networks) or renzheng models add FILE (others).",
                path=str(path),
            ) from None
        if not data:
            raise ModelFileError(
                f"{path.name} is empty (0 bytes).", do="Copy the file again.", path=str(path)
            )
        found = sha256(data).hexdigest()
        if expected_sha256 is not None and found != expected_sha256:
            raise ModelFileError(
                f"{path.name} has SHA-256 {found}, its card says {expected_sha256}.",
                why="An altered model gives scores that nobody has measured.",
                do="Delete the file, then convert, add or fetch it again.",
                path=str(path),
            )
        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # a plan for each size of input costs memory and saves no time
        options.log_severity_level = _WARNINGS_ONLY_IF_FATAL
        try:
            self._session = InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own classes, which are not importable by name
            raise ModelFileError(
                f"{path.name} is no network that onnxruntime can load.", why=str(error)[:200], path=str(path)
            ) from error
        self._input = self._session.get_inputs()[0]
        self.sha256 = found

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says about itself."""
        metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return metadata

    @property
    def input_shape(self) -> tuple[int | str | None, ...]:
        """The input's sizes; a name or None where any size may come."""
        return tuple(self._input.shape)

    @property
    def output_shapes(self) -> tuple[tuple[int | str | None, ...], ...]:
        """The outputs' sizes."""
        return tuple(tuple(output.shape) for output in self._session.get_outputs())

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs' names."""
        return tuple(output.name for output in self._session.get_outputs())

    def run(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the first output for one input array."""
        return self.run_all(values)[0]

    def run_all(self, values: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        """Return every output for one input array."""
        outputs: list[NDArray[np.float32]] = self._session.run(None, {self._input.name: values})
        return outputs
