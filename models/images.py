"""Bytes to pixels, or a named reason why not: the only place in the house where a picture is decoded.

Its sides are read from its header and admitted (`renzheng.models.sides`) before a decoder sees it.
"""

import io
import warnings
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from renzheng.models.errors import (
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    PixelLayoutError,
    TruncatedImageError,
)
from renzheng.models.phone_photographs import decode_apart
from renzheng.models.sides import FORMATS_OF_PHONES, Sides, admit, damaged

Pixels = NDArray[np.uint8]

LARGEST_FRAME_BYTES = 2_000_000
SMALLEST_FRAME_SIDE_PX = 64
SMALLEST_SIDE_PX = 20  # a face of fewer pixels holds no identity
WORKING_SIDE_PX = 2000  # a face in any larger image is still found, and aligned, at this size

_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_EIGHT_BITS = 255
_FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))


def decode(data: bytes) -> Pixels:
    """Decode an image file (JPEG, PNG, WebP, BMP, HEIC or AVIF) to upright 8-bit RGB, (rows, columns, 3).

    EXIF orientation is applied, transparency is laid on white, CMYK and palettes are converted, 10 to 16 bits
    are scaled to 8, and of an animation the first picture counts. An image with a side above
    `WORKING_SIDE_PX` is made smaller.

    Raises:
        EmptyImageError: no bytes.
        NotAnImageError: in no format that is read here.
        TruncatedImageError: the data end too early or are damaged.
        ImageTooLargeError: more bytes or pixels than allowed.
        ImageTooSmallError: a side of fewer than `SMALLEST_SIDE_PX`.
    """
    said = admit(data)
    if said.form in FORMATS_OF_PHONES:
        return check(decode_apart(data, said.form))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of oddities in metadata, which are not used
        pixels = pixels_of(data, said)
    return check(pixels)


def pixels_of(data: bytes, said: Sides) -> Pixels:
    """Decode what was admitted, in this process.

    Args:
        data: the file.
        said: what its header says.

    Raises:
        TruncatedImageError: it is damaged, or not what its header says.
        ImageTooLargeError: it unpacks to more pixels than any picture has.
    """
    image = _opened(data, said)
    return np.ascontiguousarray(_eight_bit_rgb(_shrunk(_loaded(image))), dtype=np.uint8)


def decode_frame(jpeg: bytes) -> Pixels | None:
    """Decode one camera frame to RGB, (rows, columns, 3); None when it is none.

    A frame is a JPEG of at most `LARGEST_FRAME_BYTES` and at least `SMALLEST_FRAME_SIDE_PX` a side.
    """
    image = _frame(jpeg, cv2.IMREAD_COLOR_RGB)
    return None if image is None or min(image.shape[:2]) < SMALLEST_FRAME_SIDE_PX else image


def decode_frame_small(jpeg: bytes) -> Pixels | None:
    """Decode one camera frame to grey at a quarter of its sides, (rows, columns); None when it is none."""
    return _frame(jpeg, cv2.IMREAD_REDUCED_GRAYSCALE_4)


def _frame(jpeg: bytes, how: int) -> Pixels | None:
    try:
        if admit(jpeg, largest_bytes=LARGEST_FRAME_BYTES).form != "JPEG":
            return None
        image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), how)
    except (ImageError, cv2.error):
        return None
    return None if image is None else np.asarray(image, dtype=np.uint8)


def check(image: Pixels) -> Pixels:
    """Return an array that may go into the engine.

    Raises:
        PixelLayoutError: it is not uint8 of (rows, columns, 3).
        ImageTooSmallError: a side of fewer than `SMALLEST_SIDE_PX`.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:  # noqa: PLR2004 - rows, columns, RGB
        raise PixelLayoutError(
            "An image must be unsigned 8-bit RGB of (rows, columns, 3); this is "
            f"{getattr(image, 'dtype', type(image).__name__)} of {getattr(image, 'shape', 'no shape')}.",
            do="Decode files with renzheng.models.images.decode; for BGR frames use image[:, :, ::-1].",
        )
    if min(image.shape[:2]) < SMALLEST_SIDE_PX:
        raise ImageTooSmallError(
            f"The image has only {image.shape[1]} x {image.shape[0]} pixels.",
            do=f"Send at least {SMALLEST_SIDE_PX} pixels a side.",
        )
    return np.ascontiguousarray(image)


def _opened(data: bytes, said: Sides) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=(said.form,))
    except UnidentifiedImageError:
        raise damaged("its header cannot be read") from None
    except Image.DecompressionBombError:
        raise _too_large() from None
    except _DAMAGE as error:
        raise damaged(str(error)) from error
    if not _as_said(image.size, said):
        raise damaged(f"its header says {said.columns} x {said.rows}, and {image.width} x {image.height}")
    if image.format == "JPEG":
        image.draft(
            "RGB", (WORKING_SIDE_PX, WORKING_SIDE_PX)
        )  # decodes at half or a quarter where that suffices
    return image


def _as_said(size: tuple[int, int], said: Sides) -> bool:
    """Whether a decoder speaks of the header's size; a telephone's stream is turned and cropped from it."""
    if said.form in FORMATS_OF_PHONES:
        return max(size) <= max(said.columns, said.rows) and min(size) <= min(said.columns, said.rows)
    return size == (said.columns, said.rows)


def _too_large() -> ImageTooLargeError:
    return ImageTooLargeError("The image unpacks to far too many pixels.", do="Send a smaller one.")


# What Pillow's plug-ins raise on damaged data, found by cutting and flipping bytes of every format.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
)


def _loaded(image: Image.Image) -> Image.Image:
    try:
        image.load()
    except Image.DecompressionBombError:
        raise _too_large() from None
    except Exception as error:  # the decoders raise classes of their own, too
        raise damaged(str(error)) from error
    return image


def _shrunk(image: Image.Image) -> Image.Image:
    if max(image.size) <= WORKING_SIDE_PX or image.mode in _SIXTEEN_BIT_MODES:
        return image
    factor = max(image.size) // WORKING_SIDE_PX
    return image.reduce(factor) if factor > 1 and image.mode in ("RGB", "RGBA", "L", "CMYK") else image


def _eight_bit_rgb(image: Image.Image) -> Image.Image:
    upright = _upright(image)
    convert = _CONVERSIONS.get(upright.mode, _plain)
    pixels = convert(upright)
    if max(pixels.size) > WORKING_SIDE_PX:
        pixels.thumbnail((WORKING_SIDE_PX, WORKING_SIDE_PX), Image.Resampling.BOX)
    return pixels


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # noqa: BLE001 - broken EXIF data must not lose a good picture
        return image


def _plain(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    opaque = image.convert("RGBA")
    ground = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(ground, opaque).convert("RGB")


def _from_palette(image: Image.Image) -> Image.Image:
    return _on_white(image) if "transparency" in image.info else _plain(image)


def _from_many_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit and floating-point grey to 8 bits, by the format's range or else the values'."""
    values = np.asarray(image, dtype=np.float32)
    top = values.max(initial=0.0)
    if not np.isfinite(top):
        raise TruncatedImageError("The image holds values that are not finite.", do="Send an 8-bit image.")
    if image.mode == "F":
        full = 1.0 if top <= 1.0 else max(top, float(_EIGHT_BITS))
    else:  # a file does not say how many of its 16 bits the camera filled: the fewest that hold the brightest
        full = next((float(each) for each in _FULL_SCALES if top <= each), float(_FULL_SCALES[-1]))
    grey = np.clip(values / full * _EIGHT_BITS, 0, _EIGHT_BITS).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


_CONVERSIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "RGB": lambda image: image,
    "RGBA": _on_white,
    "LA": _on_white,
    "PA": _on_white,
    "P": _from_palette,
    **dict.fromkeys(_SIXTEEN_BIT_MODES, _from_many_bits),
}
