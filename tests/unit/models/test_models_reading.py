"""The primitives of dlib's serialisation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.models.conversion.reading import Reader
from renzheng.models.errors import ModelFileError


def encoded_integer(value: int) -> bytes:
    digits = abs(value).to_bytes(8, "little").rstrip(b"\0") or b"\0"
    return bytes([len(digits) | (0x80 if value < 0 else 0)]) + digits


def encoded_real(value: float) -> bytes:
    """dlib's float_details: the mantissa as a whole number, trailing zero bytes moved into the exponent."""
    fraction, exponent = math.frexp(value)
    mantissa, exponent = int(fraction * 2**53), exponent - 53
    for _ in range(8):
        if mantissa & 0xFF:
            break
        mantissa, exponent = mantissa >> 8, exponent + 8
    return encoded_integer(mantissa) + encoded_integer(exponent)


def encoded_tensor(values: np.ndarray) -> bytes:
    sizes = b"".join(encoded_integer(size) for size in values.shape)
    return encoded_integer(2) + sizes + values.astype("<f4").tobytes()


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_an_integer_is_read_back(value: int) -> None:
    reader = Reader(encoded_integer(value), "file")
    assert reader.integer() == value
    reader.finish()


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_a_number_is_read_back_exactly(value: float) -> None:
    assert Reader(encoded_real(value), "file").real() == value


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3))
def test_a_tensor_is_read_back(samples: int, k: int, rows: int, columns: int) -> None:
    values = np.arange(samples * k * rows * columns, dtype=np.float32).reshape(samples, k, rows, columns)
    tensor = Reader(encoded_tensor(values), "file").tensor()
    np.testing.assert_array_equal(tensor.values, values)


def refusal(reader: Reader, read: str) -> ModelFileError | None:
    try:
        getattr(reader, read)()
    except ModelFileError as error:
        return error
    return None


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_with_the_offset(data: bytes) -> None:
    for read in ("integer", "string", "real", "boolean", "tensor", "alias"):
        reader = Reader(data, "file")
        refused = refusal(reader, read)
        if refused:
            assert 0 <= refused.attributes["offset"] <= len(data)
            assert f"offset {refused.attributes['offset']}" in refused.what


@pytest.mark.parametrize(
    ("data", "read", "offset", "what"),
    [
        (b"", "integer", 0, "the file ends"),
        (b"\x00", "integer", 0, "begins no integer"),
        (b"\x09123456789", "integer", 0, "begins no integer"),
        (b"\x11\x05", "integer", 0, "begins no integer"),
        (b"\x02\x05\x00", "integer", 0, "needless zero bytes"),
        (b"\x81\x00", "integer", 0, "negative zero"),
        (b"\x04\x01", "integer", 1, "the file ends"),
        (b"2", "boolean", 0, "no flag"),
        (b"\x01\x04con", "string", 2, "the file ends"),
        (b"\x01\x02\xff\xfe", "string", 0, "no text"),
        (encoded_integer(1) + encoded_integer(32000), "real", 0, "not finite"),
        (encoded_integer(3), "tensor", 0, "the version of a tensor is 3"),
        (encoded_tensor(np.zeros((1, 1, 1, 2)))[:-1], "tensor", 2, "does not fit"),
        (encoded_tensor(np.array([[[[1.0, np.nan]]]])), "tensor", 14, "not finite"),
        (encoded_integer(2) + encoded_integer(-1) * 4, "tensor", 2, "negative sizes"),
    ],
)
def test_each_deviation_is_named_with_its_offset(data: bytes, read: str, offset: int, what: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        getattr(Reader(data, "file"), read)()
    assert caught.value.attributes["offset"] == offset
    assert what in caught.value.what


def test_bytes_behind_the_end_are_refused() -> None:
    reader = Reader(b"1x", "file")
    reader.boolean()
    with pytest.raises(ModelFileError, match="1 bytes too many at offset 1"):
        reader.finish()
