"""Whatever arrives as an image becomes right pixels or a named error."""

import contextlib
import io
import struct
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.examples import examples
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
from renzheng.models.images import WORKING_SIDE_PX, check, decode, decode_frame, decode_frame_small
from renzheng.models.phone_decoder import MOST_MEMORY_BYTES
from renzheng.models.sides import admit

pillow_heif.register_heif_opener()


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
    return encoded(picture().transpose(UNDO[orientation]), "JPEG", exif=tag(orientation), quality=95)


UNDO = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def tag(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def of_a_phone(form: str, orientation: int | None = None) -> bytes:
    if orientation is None:
        return encoded(picture(), form, quality=90)
    return encoded(picture().transpose(UNDO[orientation]), form, quality=90, exif=tag(orientation).tobytes())


COLOUR: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(picture(), "JPEG", quality=95),
    "png": lambda: encoded(picture()),
    "webp": lambda: encoded(picture(), "WEBP", lossless=True),
    "bmp": lambda: encoded(picture(), "BMP"),
    "opaque RGBA": lambda: encoded(picture().convert("RGBA")),
    "CMYK JPEG": lambda: encoded(picture().convert("CMYK"), "JPEG", quality=95),
    "animated webp": lambda: encoded(
        picture(), "WEBP", save_all=True, append_images=[picture().rotate(180)], lossless=True
    ),
    "EXIF 3": lambda: turned(3),
    "EXIF 6": lambda: turned(6),
    "EXIF 8": lambda: turned(8),
    "HEIC": lambda: of_a_phone("HEIF"),
    "AVIF": lambda: of_a_phone("AVIF"),
    "HEIC, EXIF 6": lambda: of_a_phone("HEIF", 6),
    "AVIF, EXIF 8": lambda: of_a_phone("AVIF", 8),
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
    "12 bits in 16": lambda: encoded(Image.fromarray(np.asarray(grey()).astype(np.uint16) * 16)),
    "10 bits in 16": lambda: encoded(Image.fromarray(np.asarray(grey()).astype(np.uint16) * 4)),
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


def test_twelve_megapixels_are_read_at_a_working_size() -> None:
    pixels = decode(encoded(Image.new("RGB", (4032, 3024), (200, 10, 10)), "JPEG"))
    assert max(pixels.shape) <= WORKING_SIDE_PX
    assert abs(pixels[10, 10].astype(int) - [200, 10, 10]).max() < 6


REFUSED: dict[str, tuple[Callable[[], bytes], type[ImageError]]] = {
    "nothing": (lambda: b"", EmptyImageError),
    "text": (lambda: b"this is no image, whatever its name says", NotAnImageError),
    "zeros": (lambda: bytes(1000), NotAnImageError),
    "half a JPEG": (lambda: encoded(picture(), "JPEG")[:700], TruncatedImageError),
    "half a PNG": (lambda: encoded(picture())[:-200], TruncatedImageError),
    "half a WebP": (lambda: encoded(picture(), "WEBP")[:-50], TruncatedImageError),
    "a TIFF": (lambda: encoded(picture(), "TIFF"), NotAnImageError),
    "a GIF": (lambda: encoded(picture(), "GIF"), NotAnImageError),
    "14 megapixels": (lambda: encoded(Image.new("L", (4096, 3500))), ImageTooLargeError),
    "a long side": (lambda: encoded(Image.new("L", (4097, 64))), ImageTooLargeError),
    "a decompression bomb": (lambda: encoded(Image.new("1", (30000, 30000))), ImageTooLargeError),
    "five pixels": (lambda: encoded(picture(5, 5)), ImageTooSmallError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_has_a_named_error(name: str) -> None:
    make, error = REFUSED[name]
    with pytest.raises(error) as caught:
        decode(make())
    assert caught.value.what


def claiming(form: str, side: int) -> bytes:
    """A picture of 64 x 64 whose header alone says `side` x `side`."""
    data = bytearray(encoded(picture(64, 64), form))
    big, little = side.to_bytes(4, "big"), side.to_bytes(4, "little")
    match form:
        case "JPEG":
            at = data.find(b"\xff\xc0")
            data[at + 5 : at + 9] = big[2:] * 2
        case "PNG":
            data[16:24] = big * 2
        case "BMP":
            data[18:26] = little * 2
        case "WEBP":
            data[26:30] = little[:2] * 2
    return bytes(data)


def no_decoder(*_args: object, **_kwargs: object) -> None:
    raise AssertionError("decoded before its sides were read")


@pytest.fixture
def without_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.imdecode", no_decoder)
    monkeypatch.setattr("PIL.Image.open", no_decoder)


BOMBS = {
    "JPEG": lambda: claiming("JPEG", 30_000),
    "PNG": lambda: claiming("PNG", 30_000),
    "BMP": lambda: claiming("BMP", 30_000),
    "WebP": lambda: claiming("WEBP", 16_000),
    "lossless WebP": lambda: encoded(Image.new("L", (16_000, 8)), "WEBP", lossless=True),
    "WebP with a large canvas": lambda: (
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\xff\x3f\x00" * 2 + bytes(20)
    ),
    "BMP from the top": lambda: claiming("BMP", (1 << 32) - 30_000),
    "a JPEG of many passes": lambda: (
        (whole := encoded(picture(), "JPEG", progressive=True))[:-2]
        + whole[whole.rfind(b"\xff\xda") : -2] * 200
    ),
}


@pytest.mark.usefixtures("without_decoders")
@pytest.mark.parametrize("name", BOMBS)
def test_what_claims_too_much_is_refused_before_any_decoder_sees_it(name: str) -> None:
    data = BOMBS[name]()
    with pytest.raises(ImageTooLargeError):
        decode(data)
    assert decode_frame(data) is None
    assert decode_frame_small(data) is None


@pytest.mark.usefixtures("without_decoders")
def test_a_jpeg_that_gives_two_sizes_is_refused() -> None:
    small, large = encoded(picture(), "JPEG"), claiming("JPEG", 30_000)
    at = large.find(b"\xff\xc0")
    frame = large[at : at + 19]
    cut = small.find(b"\xff\xc0")
    for both in (small[:cut] + frame + small[cut:], small[: cut + 19] + frame + small[cut + 19 :]):
        with pytest.raises(TruncatedImageError):
            decode(both)
        assert decode_frame(both) is None


def test_a_png_that_changes_its_mind_is_refused() -> None:
    whole = encoded(Image.new("L", (64, 64)))
    other = encoded(Image.new("L", (3000, 3000)))
    with pytest.raises(TruncatedImageError):
        decode(whole[:33] + other[8:])


def test_frames_are_jpegs_of_a_camera() -> None:
    jpeg = encoded(picture(640, 480), "JPEG", quality=95)
    frame, small = decode_frame(jpeg), decode_frame_small(jpeg)
    assert frame is not None
    assert frame.shape == (480, 640, 3)
    assert abs(frame.astype(int) - np.asarray(picture(640, 480)).astype(int)).mean() < 6
    assert small is not None
    assert small.shape == (120, 160)
    for no_frame in (
        b"",
        b"\xff\xd8",
        encoded(picture(640, 480)),
        encoded(picture(60, 60), "JPEG"),
        jpeg[:200],
    ):
        assert decode_frame(no_frame) is None


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_the_header_says_what_the_decoder_finds(data: st.DataObject) -> None:
    columns, rows = data.draw(st.integers(20, 700)), data.draw(st.integers(20, 700))
    form = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP"]))
    options = {"progressive": data.draw(st.booleans())} if form == "JPEG" else {}
    said = admit(encoded(Image.new("RGB", (columns, rows)), form, **options))
    assert (said.form, said.columns, said.rows) == (form, columns, rows)


SAMPLES = [make() for make in (*COLOUR.values(), *GREY.values())]


@settings(max_examples=examples(150), deadline=None)
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


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_a_phones_photograph_that_is_damaged_or_says_another_size_is_named(form: str) -> None:
    whole = of_a_phone(form)
    with pytest.raises(TruncatedImageError):
        decode(whole[: len(whole) // 2])
    begun = whole.index(b"mdat") + 4
    with pytest.raises(TruncatedImageError):
        decode(whole[:begun] + bytes(len(whole) - begun))
    with pytest.raises(TruncatedImageError):
        decode(whole.replace(b"ispe", b"free"))
    with pytest.raises(ImageTooLargeError):
        decode(resized(whole, 40_000, 30_000))


def resized(whole: bytes, columns: int, rows: int) -> bytes:
    """A HEIC or AVIF file whose header says another size than its stream."""
    sizes = [at for at in range(len(whole)) if whole.startswith(b"ispe", at)]
    for at in sizes:
        whole = whole[: at + 8] + struct.pack(">II", columns, rows) + whole[at + 16 :]
    return whole


def test_a_small_file_that_holds_a_huge_picture_takes_a_bounded_part_of_the_machine() -> None:
    bomb = resized(encoded(Image.new("L", (8_000, 8_000)), "AVIF", speed=10), 400, 300)
    assert len(bomb) < 50_000
    # In a process of its own: what a child takes is counted from what its parent had when it was started.
    done = subprocess.run([sys.executable, "-c", DECODES], input=bomb, capture_output=True, check=True)
    most_kb = int(done.stdout)
    assert most_kb < MOST_MEMORY_BYTES // 1024


DECODES = """
import contextlib, resource, sys
from renzheng.models.errors import ImageError
from renzheng.models.images import decode
with contextlib.suppress(ImageError):
    assert decode(sys.stdin.buffer.read()).shape == (300, 400, 3)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
