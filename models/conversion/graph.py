"""Writes a chain of layers as an ONNX graph: normalisation and scales folded, the same bytes every time.

The graph takes RGB pixels as a camera gives them, 0 to 255, (batch, rows, columns, 3), so that no caller can
get the normalisation wrong.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from renzheng.models.conversion.layers import (
    AddPrevious,
    Convolution,
    Dense,
    Layer,
    Pool,
    Relu,
    Scale,
    Tag,
    TagAndSkip,
)

OPSET = 17  # the newest that onnxruntime has run since 1.12
IR_VERSION = 8  # the file format of that opset's own release

Axis = int | str


@dataclass(frozen=True)
class Value:
    """A value in the graph: its name, channels, and rows and columns where they are known."""

    name: str
    channels: int
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Normalisation:
    """(pixel - mean of its channel) / divisor, in the order R, G, B."""

    means: tuple[float, float, float]
    divisor: float


class GraphWriter:
    """Collects nodes and weights; `add` takes one layer of dlib's after the other.

    Args:
        size: rows and columns of the input, or None where any size may come.
        normalisation: folded into the first convolution, which must be unpadded.
        element: the input's type, TensorProto.UINT8 or TensorProto.FLOAT.
        block: maps of more channels than this are filled up with zeros to a multiple of it, for onnxruntime's
            convolutions in blocks of channels; the numbers stay the same.
    """

    def __init__(
        self, size: tuple[int, int] | None, normalisation: Normalisation, element: int, block: int = 1
    ) -> None:
        self._normalisation = normalisation
        self._input_size = size
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._tag: Value | None = None
        self._remembered: Value | None = None
        self._element = element
        self._block = block
        pixels = (
            "image" if element == TensorProto.FLOAT else self._node("Cast", ["image"], to=TensorProto.FLOAT)
        )
        self.value = Value(self._node("Transpose", [pixels], perm=[0, 3, 1, 2]), 3, size)

    def chain(self, layers: Sequence[Layer]) -> None:
        """Add the layers in their order, each scale folded into the convolution before it."""
        for layer, following in zip(layers, [*layers[1:], None], strict=True):
            match layer:
                case Convolution():
                    self._convolution(layer, following if isinstance(following, Scale) else None)
                case Scale():
                    pass  # folded into the convolution before it
                case Relu():
                    self.value = Value(
                        self._node("Relu", [self.value.name]), self.value.channels, self.value.size
                    )
                case Pool():
                    self._pool(layer)
                case AddPrevious():
                    self._add_previous()
                case Dense():
                    self._dense(layer)
                case Tag():
                    self._tag = self._remembered = self.value
                case TagAndSkip():
                    assert self._tag is not None
                    self._remembered, self.value = self.value, self._tag

    def model(self, output: str, output_shape: Sequence[Axis], metadata: dict[str, str]) -> bytes:
        """Close the graph and return the file's bytes."""
        rows, columns = self._input_size or ("rows", "columns")
        self._nodes.append(helper.make_node("Identity", [self.value.name], [output], name=output))
        graph = helper.make_graph(
            self._nodes,
            "dlib",
            [helper.make_tensor_value_info("image", self._element, ["batch", rows, columns, 3])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, list(output_shape))],
            initializer=self._weights,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="renzheng models convert",
        )
        for key in sorted(metadata):
            model.metadata_props.add(key=key, value=metadata[key])
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))

    def _node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def _weight(self, name: str, values: NDArray[np.generic]) -> str:
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def convolution_across(self, layer: Convolution, cells: int) -> None:
        """Add a convolution with one output channel, stride 1, that gives as many cells as it takes.

        onnxruntime is slow where there is one channel to give. So `cells` neighbours in a row are made at
        once, as channels: the filter stands in each at its own place, and the stride is as many cells.
        """
        outputs, inputs, rows, columns = layer.filters.shape
        assert outputs == 1
        assert layer.stride == (1, 1)
        (pad_y, pad_x) = layer.padding
        assert (2 * pad_y, 2 * pad_x) == (rows - 1, columns - 1)
        filters = np.zeros((cells, self.value.channels, rows, columns + cells - 1), np.float32)
        for each in range(cells):
            filters[each, :inputs, :, each : each + columns] = layer.filters[0]
        number = len(self._nodes)
        side_by_side = self._node(
            "Conv",
            [
                self.value.name,
                self._weight(f"filters_{number}", filters),
                self._weight(f"bias_{number}", np.repeat(layer.bias, cells)),
            ],
            kernel_shape=list(filters.shape[2:]),
            strides=[1, cells],
            pads=[pad_y, pad_x, pad_y, pad_x + cells - 1],
        )
        self.value = Value(self._in_one_row(side_by_side, self.value), 1, self.value.size)

    def _in_one_row(self, side_by_side: str, before: Value) -> str:
        """Put (batch, cells, rows, groups) into (batch, 1, rows, columns), with as many columns as before."""
        last = self._node("Transpose", [side_by_side], perm=[0, 2, 3, 1])
        joined = self._node("Reshape", [last, self._numbers("joined", 0, 0, -1)])
        shape = self._node("Shape", [before.name], start=3, end=4)
        start, axis = self._numbers("start", 0), self._numbers("axis", 2)
        cut = self._node("Slice", [joined, start, shape, axis])
        return self._node("Unsqueeze", [cut, self._numbers("channel_axis", 1)])

    def _numbers(self, name: str, *values: int) -> str:
        return self._weight(name, np.array(values, dtype=np.int64))

    def _convolution(self, layer: Convolution, scale: Scale | None) -> None:
        first = self.value.name.startswith("transpose")
        filters, bias = fold(layer, scale, self._normalisation if first else None)
        filters, bias = self._filled_up(filters, bias)
        number = len(self._nodes)
        (pad_y, pad_x), kernel = layer.padding, (filters.shape[2], filters.shape[3])
        if self.value.size == (1, 1) and kernel == (3, 3) and layer.padding == (1, 1):
            # On a map of one pixel only the middle of the filter meets anything but padding.
            filters, kernel, pad_y, pad_x = filters[:, :, 1:2, 1:2], (1, 1), 0, 0
        name = self._node(
            "Conv",
            [
                self.value.name,
                self._weight(f"filters_{number}", filters),
                self._weight(f"bias_{number}", bias),
            ],
            kernel_shape=list(kernel),
            strides=list(layer.stride),
            pads=[pad_y, pad_x, pad_y, pad_x],
        )
        self.value = Value(
            name, filters.shape[0], _reduced(self.value.size, kernel, layer.stride, (pad_y, pad_x))
        )

    def _filled_up(
        self, filters: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Add zeros for the channels that the map before has more, and up to a multiple of the block."""
        outputs, inputs = filters.shape[:2]
        more = -outputs % self._block if outputs > self._block else 0
        room = [(0, more), (0, self.value.channels - inputs), (0, 0), (0, 0)]
        return np.pad(filters, room), np.pad(bias, (0, more))

    def _pool(self, layer: Pool) -> None:
        if layer.window == (0, 0):
            pooled = self._node("GlobalAveragePool", [self.value.name])
            self.value = Value(self._node("Flatten", [pooled], axis=1), self.value.channels, None)
            return
        (pad_y, pad_x) = layer.padding
        name = self._node(
            "MaxPool" if layer.kind == "max" else "AveragePool",
            [self.value.name],
            kernel_shape=list(layer.window),
            strides=list(layer.stride),
            pads=[pad_y, pad_x, pad_y, pad_x],
        )
        self.value = Value(
            name, self.value.channels, _reduced(self.value.size, layer.window, layer.stride, layer.padding)
        )

    def _add_previous(self) -> None:
        one, other = self.value, self._remembered
        assert other is not None
        channels = max(one.channels, other.channels)
        assert one.size is not None
        assert other.size is not None
        size = (max(one.size[0], other.size[0]), max(one.size[1], other.size[1]))
        summed = self._node("Add", [self._padded(one, channels, size), self._padded(other, channels, size)])
        self.value = Value(summed, channels, size)

    def _padded(self, value: Value, channels: int, size: tuple[int, int]) -> str:
        assert value.size is not None
        more = (channels - value.channels, size[0] - value.size[0], size[1] - value.size[1])
        if more == (0, 0, 0):
            return value.name
        pads = self._weight(f"pads_{len(self._nodes)}", np.array([0, 0, 0, 0, 0, *more], dtype=np.int64))
        return self._node("Pad", [value.name, pads])

    def _dense(self, layer: Dense) -> None:
        weights = self._weight(f"weights_{len(self._nodes)}", layer.weights)
        self.value = Value(self._node("MatMul", [self.value.name, weights]), layer.weights.shape[1], None)


def fold(
    layer: Convolution, scale: Scale | None, normalisation: Normalisation | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fold what stands before and behind a convolution into its filters and bias, in double precision."""
    filters, bias = layer.filters.astype(np.float64), layer.bias.astype(np.float64)
    if normalisation is not None:
        assert layer.padding == (0, 0), "behind padding, a folded mean would change the border"
        filters = filters / normalisation.divisor
        seen = filters * np.array(normalisation.means)[None, :, None, None]
        # fsum rounds once, so that every processor writes the same bytes
        bias = bias - np.array([math.fsum(each.ravel()) for each in seen])
    if scale is not None:
        filters = filters * scale.gain[:, None, None, None]
        bias = bias * scale.gain + scale.shift
    return filters.astype(np.float32), bias.astype(np.float32)


def _reduced(
    size: tuple[int, int] | None, window: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, int] | None:
    if size is None:
        return None
    rows, columns = (
        (length + 2 * pad - span) // step + 1
        for length, span, step, pad in zip(size, window, stride, padding, strict=True)
    )
    return rows, columns
