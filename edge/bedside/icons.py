"""The page's icon, drawn here: a bed with a tick above it; SVG, and PNG for systems that want one."""

import cv2
import numpy as np

INK, GROUND = "#0b4f6c", "#ffffff"

_PEN = f'stroke="{GROUND}" stroke-width="5" fill="none" stroke-linecap="round" stroke-linejoin="round"'
SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
<rect width="64" height="64" rx="12" fill="{INK}"/>
<path d="M12 24v28M12 44h40M52 34v18M12 34h40" {_PEN}/>
<path d="M26 20l6 6 12-13" {_PEN}/>
</svg>
"""

_STROKES = (
    ((12, 24), (12, 52)),
    ((12, 44), (52, 44)),
    ((52, 34), (52, 52)),
    ((12, 34), (52, 34)),
    ((26, 20), (32, 26), (44, 13)),
)


def png(side_px: int) -> bytes:
    """Draw the icon as PNG; it fills the square, so that a system may cut it to any outline."""
    scale = side_px / 64
    picture = np.empty((side_px, side_px, 3), np.uint8)
    picture[:] = _bgr(INK)
    for stroke in _STROKES:
        points = np.round(np.array(stroke, np.float64) * scale * 16).astype(np.int32)
        cv2.polylines(
            picture,
            [points.reshape(-1, 1, 2)],
            isClosed=False,
            color=_bgr(GROUND),
            thickness=max(1, round(5 * scale)),
            lineType=cv2.LINE_AA,
            shift=4,
        )
    done, encoded = cv2.imencode(".png", picture)
    assert done
    return encoded.tobytes()


def _bgr(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return blue, green, red
