"""The QR code that a patient holds up to the camera.

Why zxing-cpp reads it: docs/decisions/0008-qr-codes-by-zxing.md.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import zxingcpp
from numpy.typing import NDArray

from renzheng.edge.look.faces import Image

LONGEST_CODE = 512
_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


def read_code(image: Image) -> str | None:
    """Read the QR code in a picture, dark on light or light on dark; of several the largest.

    None when there is none, when it is not UTF-8, or when it is too long for an e-credential.

    Args:
        image: uint8, (rows, columns, 3), RGB.
    """
    for grey in _tries(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)):
        found = zxingcpp.read_barcodes(grey, formats=_QR)
        for code in sorted(found, key=_size, reverse=True):
            content = _content(code)
            if content is not None:
                return content
    return None


def _tries(grey: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the picture as it is, twice as large for small squares, with more contrast for pale ink."""
    yield grey
    yield np.asarray(cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1)
    yield np.asarray(cv2.createCLAHE(4.0, (8, 8)).apply(smooth), np.uint8)


def _size(code: zxingcpp.Barcode) -> int:
    corner, other = code.position.top_left, code.position.bottom_right
    return max(abs(corner.x - other.x), abs(corner.y - other.y))


def _content(code: zxingcpp.Barcode) -> str | None:
    try:
        content = bytes(code.bytes).decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    return content if 0 < len(content) <= LONGEST_CODE else None
