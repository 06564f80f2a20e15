"""Whatever arrives as an image becomes right pixels or a named error."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from renzheng.models.errors import (
    EmptyImageError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    NotAnImageError,
    PixelLayoutError,
    TruncatedImageError,
)
from renzheng.models.images import WORKING_SIDE_PX, check, decode


def picture(columns: int = 96, rows: int = 64) -> Image.Image:
    """A smooth picture with distinct corners: red to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(20, 235, columns), np.linspace(20, 235, rows))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 60)], axis=-1).astype(np.uint8))


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def grey() -> Image.Image:
    return picture().convert("L")


def sixteen_bit() -> Image.Image:
    return Image.fromarray(np.asarray(grey()).astype(np.uint16) * 257)


def turned(orientation: int) -> bytes:
    """The picture as a camera held on its side stores it, with the tag that says so."""
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x112] = orientation
    return encoded(picture().transpose(undo[orientation]), "JPEG", exif=exif, quality=95)


COLOUR: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(picture(), "JPEG", quality=95),
    "png": lambda: encoded(picture()),
    "webp": lambda: encoded(picture(), "WEBP", lossless=True),
    "bmp": lambda: encoded(picture(), "BMP"),
    "tiff": lambda: encoded(picture(), "TIFF"),
    "opaque RGBA": lambda: encoded(picture().convert("RGBA")),
    "CMYK JPEG": lambda: encoded(picture().convert("CMYK"), "JPEG", quality=95),
    "animated gif": lambda: encoded(
        picture(), "GIF", save_all=True, append_images=[picture().rotate(180)], duration=50
    ),
    "animated webp": lambda: encoded(
        picture(), "WEBP", save_all=True, append_images=[picture().rotate(180)], lossless=True
    ),
    "EXIF 3": lambda: turned(3),
    "EXIF 6": lambda: turned(6),
    "EXIF 8": lambda: turned(8),
}


@pytest.mark.parametrize("name", COLOUR)
def test_colours_and_direction_survive(name: str) -> None:
    pixels = decode(COLOUR[name]())
    assert pixels.dtype == np.uint8
    assert pixels.shape == (64, 96, 3)
    np.testing.assert_allclose(pixels.astype(int), np.asarray(picture()).astype(int), atol=30)
    assert abs(pixels.astype(int) - np.asarray(picture()).astype(int)).mean() < 6


GREY: dict[str, Callable[[], bytes]] = {
    "8 bit": lambda: encoded(grey()),
    "JPEG": lambda: encoded(grey(), "JPEG", quality=95),
    "16-bit PNG": lambda: encoded(sixteen_bit()),
    "16-bit TIFF": lambda: encoded(sixteen_bit(), "TIFF"),
    "32-bit TIFF": lambda: encoded(grey().convert("I"), "TIFF"),
    "floating-point TIFF": lambda: encoded(grey().convert("F"), "TIFF"),
    "grey and alpha": lambda: encoded(grey().convert("LA")),
}


@pytest.mark.parametrize("name", GREY)
def test_grey_of_any_depth_becomes_grey_of_eight_bits(name: str) -> None:
    pixels = decode(GREY[name]())
    assert pixels.shape == (64, 96, 3)
    for channel in range(3):
        np.testing.assert_allclose(pixels[..., channel].astype(int), np.asarray(grey()).astype(int), atol=4)


def test_transparency_is_laid_on_white() -> None:
    image = picture().convert("RGBA")
    image.putalpha(0)
    assert decode(encoded(image)).min() == 255
    palette = picture().quantize(16)
    assert decode(encoded(palette)).shape == (64, 96, 3)


def test_fifty_megapixels_are_read_at_a_working_size() -> None:
    pixels = decode(encoded(Image.new("RGB", (8000, 6250), (200, 10, 10)), "JPEG"))
    assert max(pixels.shape) <= WORKING_SIDE_PX
    assert abs(pixels[10, 10].astype(int) - [200, 10, 10]).max() < 6


REFUSED: dict[str, tuple[Callable[[], bytes], type[ImageError]]] = {
    "nothing": (lambda: b"", EmptyImageError),
    "text": (lambda: b"this is no image, whatever its name says", NotAnImageError),
    "zeros": (lambda: bytes(1000), NotAnImageError),
    "half a JPEG": (lambda: encoded(picture(), "JPEG")[:700], TruncatedImageError),
    "half a PNG": (lambda: encoded(picture())[:-200], TruncatedImageError),
    "half a WebP": (lambda: encoded(picture(), "WEBP")[:-50], TruncatedImageError),
    "70 megapixels": (lambda: encoded(Image.new("L", (10000, 7000))), ImageTooLargeError),
    "a decompression bomb": (lambda: encoded(Image.new("1", (30000, 30000))), ImageTooLargeError),
    "five pixels": (lambda: encoded(picture(5, 5)), ImageTooSmallError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_has_a_named_error(name: str) -> None:
    make, error = REFUSED[name]
    with pytest.raises(error) as caught:
        decode(make())
    assert caught.value.what


SAMPLES = [make() for make in (*COLOUR.values(), *GREY.values())]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_images_never_crash(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(damaged) // 2, len(damaged)))
    with contextlib.suppress(ImageError):
        pixels = decode(bytes(damaged[:cut]))
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((40, 40), np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40, 40, 3), np.float32),
        np.zeros((40, 40, 3), np.uint16),
        "no array",
    ],
)
def test_arrays_of_another_layout_are_refused(array: object) -> None:
    with pytest.raises(PixelLayoutError):
        check(array)  # type: ignore[arg-type]
