"""dlib's layers as plain values, and how each stands in the file.

A dlib network is a type nested from the output inwards. The file first lists the versions of that nesting,
from the loss to the input, and then the layers' details from the input outwards. `add_layer` has version 2
(3 where it holds the input), tags and skips have version 1; two in a row are a tag and the skip around it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renzheng.models.conversion.reading import Reader

Weights = NDArray[np.float32]

_INNERMOST = 3
_LAYER = 2
_MARK = 1
_LONGEST_NETWORK = 1000


@dataclass(frozen=True)
class Convolution:
    """`filters` (outputs, inputs, rows, columns), `bias` (outputs,), stride and padding (y, x)."""

    filters: Weights
    bias: Weights
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class Scale:
    """An affine layer, or a batch norm at rest: x * gain + shift; both (channels,)."""

    gain: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class Pool:
    """A pooling layer; a window of (0, 0) spans the whole map."""

    kind: str
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class AddPrevious:
    """Adds the tagged value: channels, rows and columns grow to the larger of the two, filled with zeros."""


@dataclass(frozen=True)
class Dense:
    """A fully connected layer without bias: `weights` (inputs, outputs)."""

    weights: Weights


@dataclass(frozen=True)
class Tag:
    """Remembers the value here for the next `AddPrevious`."""


@dataclass(frozen=True)
class TagAndSkip:
    """Remembers the value here for the next `AddPrevious`, and goes back to the value at the last `Tag`."""


Layer = Convolution | Scale | Relu | Pool | AddPrevious | Dense | Tag | TagAndSkip


@dataclass(frozen=True)
class Placed:
    """A layer and the offset at which it begins in the file."""

    layer: Layer
    offset: int


def read_nesting(reader: Reader) -> list[int]:
    """Read the versions of the nested type, outermost first, up to and without the innermost layer's."""
    nesting: list[int] = []
    while True:
        start = reader.offset
        version = reader.integer()
        if version == _INNERMOST:
            return nesting
        if version not in (_LAYER, _MARK) or len(nesting) == _LONGEST_NETWORK:
            reader.refuse(f"{version} is no version of a nested layer", start)
        nesting.append(version)


def read_layers(reader: Reader, nesting: list[int]) -> Iterator[Placed]:
    """Yield the layers from the input to the output; `nesting` is what `read_nesting` gave."""
    yield _read_layer(reader, innermost=True)
    inwards_out = list(reversed(nesting))
    position = 0
    while position < len(inwards_out):
        if inwards_out[position] == _LAYER:
            yield _read_layer(reader)
        elif inwards_out[position + 1 : position + 2] == [_MARK]:
            position += 1
            yield Placed(TagAndSkip(), reader.offset)
        else:
            yield Placed(Tag(), reader.offset)
        position += 1


def _read_layer(reader: Reader, *, innermost: bool = False) -> Placed:
    start = reader.offset
    tag = reader.string()
    if tag not in _READERS:
        reader.refuse(f"the layer {tag!r} is not one of {', '.join(sorted(_READERS))}", start)
    layer = _READERS[tag](reader)
    for _ in range(3):
        reader.boolean()  # was set up, gradient is stale, gradient is off: states of training
    for _ in range(3):
        reader.expect_empty_tensor()  # gradient, cached output, gradient of the parameters
    if innermost:
        reader.expect_integer(1, "the sample expansion factor")
    return Placed(layer, start)


def _read_convolution(reader: Reader) -> Convolution:
    start = reader.offset
    parameters = reader.tensor().values.ravel()
    count, rows, columns, stride_y, stride_x, padding_y, padding_x = (reader.integer() for _ in range(7))
    filters, biases = reader.alias(), reader.alias()
    _read_rates(reader, 4)
    size = int(np.prod(filters))
    if (filters[0], *filters[2:]) != (count, rows, columns) or biases != (1, count, 1, 1):
        reader.refuse(f"a convolution whose sizes {filters} and {biases} contradict each other", start)
    if parameters.size != size + count or min(stride_y, stride_x) < 1 or min(padding_y, padding_x) < 0:
        reader.refuse("a convolution whose parameters do not fit its sizes", start)
    return Convolution(
        filters=parameters[:size].reshape(filters),
        bias=parameters[size:],
        stride=(stride_y, stride_x),
        padding=(padding_y, padding_x),
    )


def _read_affine(reader: Reader) -> Scale:
    start = reader.offset
    gain, shift = _gain_and_shift(reader, start)
    reader.expect_integer(0, "the mode of an affine layer (0: one value a channel)")
    return Scale(gain=gain.astype(np.float64), shift=shift.astype(np.float64))


def _read_batch_norm(reader: Reader) -> Scale:
    start = reader.offset
    gamma, beta = _gain_and_shift(reader, start)
    reader.tensor()  # means of the last batch of training
    reader.tensor()  # inverse deviations of the same
    means, variances = reader.tensor().values.ravel(), reader.tensor().values.ravel()
    updates, window = reader.integer(), reader.integer()
    _read_rates(reader, 4)
    epsilon = reader.real()
    if means.shape != gamma.shape or variances.shape != gamma.shape:
        reader.refuse("a batch norm whose statistics do not fit its channels", start)
    if variances.min() < 0 or not 0 < epsilon < 1 or min(updates, window) < 0:
        reader.refuse("a batch norm with impossible statistics", start)
    gain = gamma.astype(np.float64) / np.sqrt(variances.astype(np.float64) + epsilon)
    return Scale(gain=gain, shift=beta - means * gain)


def _gain_and_shift(reader: Reader, start: int) -> tuple[Weights, Weights]:
    parameters = reader.tensor().values.ravel()
    gains, shifts = reader.alias(), reader.alias()
    channels = gains[1]
    if gains != (1, channels, 1, 1) or shifts != gains or parameters.size != 2 * channels or not channels:
        reader.refuse(f"a scale whose sizes {gains} and {shifts} contradict its parameters", start)
    return parameters[:channels], parameters[channels:]


def _read_pool(kind: str) -> Callable[[Reader], Pool]:
    def read(reader: Reader) -> Pool:
        start = reader.offset
        rows, columns, stride_y, stride_x, padding_y, padding_x = (reader.integer() for _ in range(6))
        if min(rows, columns, padding_y, padding_x) < 0 or min(stride_y, stride_x) < 1:
            reader.refuse("a pool of impossible size", start)
        return Pool(kind, (rows, columns), (stride_y, stride_x), (padding_y, padding_x))

    return read


def _read_dense(reader: Reader) -> Dense:
    start = reader.offset
    outputs, inputs = reader.integer(), reader.integer()
    weights = reader.tensor().values
    weight_view, bias_view = reader.alias(), reader.alias()
    reader.expect_integer(1, "the bias mode of a dense layer (1: none)")
    _read_rates(reader, 4)
    if weights.shape != (inputs, outputs, 1, 1) or weight_view != (inputs, outputs, 1, 1):
        reader.refuse(
            f"a dense layer whose sizes {weights.shape} and {weight_view} contradict each other", start
        )
    if bias_view != (0, 0, 0, 0):
        reader.refuse("a dense layer without bias that has one", start)
    return Dense(weights.reshape(inputs, outputs))


def _read_rates(reader: Reader, count: int) -> None:
    for _ in range(count):
        reader.real()  # learning rates and weight decays: of no use at rest


_READERS: Mapping[str, Callable[[Reader], Layer]] = {
    "con_4": _read_convolution,
    "affine_": _read_affine,
    "bn_con2": _read_batch_norm,
    "relu_": lambda _: Relu(),
    "max_pool_2": _read_pool("max"),
    "avg_pool_2": _read_pool("average"),
    "add_prev_": lambda _: AddPrevious(),
    "fc_2": _read_dense,
}
