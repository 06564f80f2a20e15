"""The two networks of dlib's that are converted: what their files must hold, layer for layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnx import TensorProto

from renzheng.models.conversion.graph import GraphWriter, Normalisation
from renzheng.models.conversion.layers import (
    AddPrevious,
    Convolution,
    Dense,
    Layer,
    Placed,
    Pool,
    Relu,
    Scale,
    Tag,
    TagAndSkip,
    read_layers,
    read_nesting,
)
from renzheng.models.conversion.reading import Reader

CHIP_SIDE = 150
TEMPLATE_LENGTH = 128
DETECTOR_WINDOW = 80
PIXEL_DIVISOR = 256.0  # dlib's input layers subtract the mean and divide by 256

_BLOCK = 16
"""Channels that onnxruntime's convolutions take at a time, 8 with AVX2 and 16 with AVX-512."""

Description = tuple[object, ...]


@dataclass(frozen=True)
class Overlap:
    """dlib's `test_box_overlap`: boxes overlap above this IoU, or if one covers this share of the other."""

    iou: float
    covered: float


@dataclass(frozen=True)
class Recogniser:
    """The face recogniser: 29 convolutions in residual blocks, a chip of 150 x 150 in, 128 numbers out."""

    normalisation: Normalisation
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Detector:
    """The max-margin detector: a window of 80 x 80 over a pyramid of scales."""

    normalisation: Normalisation
    layers: tuple[Layer, ...]
    suppression: Overlap


def read_recogniser(data: bytes, name: str) -> Recogniser:
    """Parse the recogniser's file.

    Raises:
        ModelFileError: it deviates anywhere, with the offset.
    """
    reader = Reader(data, name)
    reader.expect_integer(1, "the version of the loss layer")
    reader.expect_string("loss_metric_2")
    reader.real()  # the margin and
    reader.real()  # the distance threshold of training
    nesting = read_nesting(reader)
    reader.expect_string("input_rgb_image_sized")
    normalisation = _read_normalisation(reader)
    reader.expect_integer(CHIP_SIDE, "the rows of the input")
    reader.expect_integer(CHIP_SIDE, "the columns of the input")
    layers = _read_as(reader, nesting, list(_recogniser_plan()))
    reader.finish()
    return Recogniser(normalisation, layers)


def read_detector(data: bytes, name: str) -> Detector:
    """Parse the detector's file.

    Raises:
        ModelFileError: it deviates anywhere, with the offset.
    """
    reader = Reader(data, name)
    reader.expect_integer(1, "the version of the loss layer")
    reader.expect_string("loss_mmod_")
    reader.expect_integer(1, "the version of the detector's options")
    reader.expect_integer(DETECTOR_WINDOW, "the width of the window")
    reader.expect_integer(DETECTOR_WINDOW, "the height of the window")
    for _ in range(3):
        reader.real()  # loss per false alarm, loss per missed face, overlap with the truth: of training
    suppression = Overlap(iou=_share(reader), covered=_share(reader))
    _share(reader)  # the overlaps that training ignored
    _share(reader)
    nesting = read_nesting(reader)
    reader.expect_string("input_rgb_image_pyramid")
    normalisation = _read_normalisation(reader)
    layers = _read_as(reader, nesting, list(_detector_plan()))
    reader.finish()
    return Detector(normalisation, layers, suppression)


def write_recogniser(network: Recogniser, metadata: dict[str, str]) -> bytes:
    """Return the recogniser as ONNX.

    It takes `image`, uint8 (batch, 150, 150, 3) RGB, and gives `template`, float32 (batch, 128).
    """
    writer = GraphWriter((CHIP_SIDE, CHIP_SIDE), network.normalisation, TensorProto.UINT8)
    writer.chain(network.layers)
    return writer.model("template", ["batch", TEMPLATE_LENGTH], metadata)


def write_detector(network: Detector, metadata: dict[str, str]) -> bytes:
    """Return the detector as ONNX.

    It takes `image`, float32 (batch, rows, columns, 3) RGB, and gives `scores`, float32 (batch, 1, down,
    across), in cells.
    The input is not 8-bit: between the scales of a pyramid stand the channels' means, which are no whole
    numbers.
    """
    writer = GraphWriter(None, network.normalisation, TensorProto.FLOAT, block=_BLOCK)
    *layers, scores = network.layers
    assert isinstance(scores, Convolution)
    writer.chain(layers)
    writer.convolution_across(scores, _BLOCK)
    facts = {
        "channel_means": " ".join(map(repr, network.normalisation.means)),
        "suppression_iou": repr(network.suppression.iou),
        "suppression_covered": repr(network.suppression.covered),
    }
    return writer.model("scores", ["batch", 1, "cell_rows", "cell_columns"], metadata | facts)


def describe(layer: Layer) -> Description:
    """Return a layer's kind and sizes without its weights."""
    match layer:
        case Convolution():
            return ("convolution", layer.filters.shape, layer.stride, layer.padding)
        case Scale():
            return ("scale", layer.gain.size)
        case Pool():
            return ("pool", layer.kind, layer.window, layer.stride, layer.padding)
        case Dense():
            return ("dense", layer.weights.shape)
        case Relu() | AddPrevious() | Tag() | TagAndSkip():
            return (type(layer).__name__,)


def _convolution(outputs: int, inputs: int, side: int, stride: int, padding: int) -> Iterator[Description]:
    yield ("convolution", (outputs, inputs, side, side), (stride, stride), (padding, padding))
    yield ("scale", outputs)


def _recogniser_plan() -> Iterator[Description]:
    relu, add, tag, skip = ("Relu",), ("AddPrevious",), ("Tag",), ("TagAndSkip",)
    yield from _convolution(32, 3, 7, 2, 0)
    yield relu
    yield ("pool", "max", (3, 3), (2, 2), (0, 0))
    channels = 32
    # (channels, halves the map, how many blocks): dlib's anet_type, from the input to the output.
    for outputs, halves, repeats in (
        (32, False, 3), (64, True, 1), (64, False, 3), (128, True, 1), (128, False, 2),
        (256, True, 1), (256, False, 2), (256, True, 1),
    ):  # fmt: skip
        for _ in range(repeats):
            yield tag
            yield from _convolution(outputs, channels, 3, 2 if halves else 1, 0 if halves else 1)
            yield relu
            yield from _convolution(outputs, outputs, 3, 1, 1)
            if halves:
                yield skip
                yield ("pool", "average", (2, 2), (2, 2), (0, 0))
            yield add
            yield relu
            channels = outputs
    yield ("pool", "average", (0, 0), (1, 1), (0, 0))
    yield ("dense", (channels, TEMPLATE_LENGTH))


def _detector_plan() -> Iterator[Description]:
    channels = 3
    for outputs, stride, padding in ((16, 2, 0), (32, 2, 0), (32, 2, 0), (45, 1, 2), (45, 1, 2), (45, 1, 2)):
        yield from _convolution(outputs, channels, 5, stride, padding)
        yield ("Relu",)
        channels = outputs
    yield ("convolution", (1, channels, 9, 9), (1, 1), (4, 4))


def _read_as(reader: Reader, nesting: list[int], plan: Sequence[Description]) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    for placed in read_layers(reader, nesting):
        _check(reader, placed, plan[len(layers)] if len(layers) < len(plan) else ("the end",))
        layers.append(placed.layer)
    if len(layers) != len(plan):
        reader.refuse(f"the network ends after {len(layers)} of {len(plan)} layers")
    return tuple(layers)


def _check(reader: Reader, placed: Placed, wanted: Description) -> None:
    found = describe(placed.layer)
    if found != wanted:
        reader.refuse(f"{found} stands where {wanted} should", placed.offset)


def _read_normalisation(reader: Reader) -> Normalisation:
    start = reader.offset
    red, green, blue = reader.real(), reader.real(), reader.real()
    if not all(0 <= mean <= 255 for mean in (red, green, blue)):  # noqa: PLR2004 - the range of a pixel
        reader.refuse("channel means outside 0 to 255", start)
    return Normalisation((red, green, blue), PIXEL_DIVISOR)


def _share(reader: Reader) -> float:
    start = reader.offset
    value = reader.real()
    if not 0 <= value <= 1:
        reader.refuse(f"a share of {value}", start)
    return value
