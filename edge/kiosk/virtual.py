"""Video devices of this machine that have no hardware behind them (Linux's loopback drivers)."""

from pathlib import Path

_CLASS = Path("/sys/class/video4linux")
_WITHOUT_HARDWARE = "virtual"


def virtual_video_devices(folder: Path = _CLASS) -> tuple[str, ...]:
    """Name them, sorted; a kiosk has none. The kernel says so, which a page or a program cannot forge."""
    names = []
    for device in folder.glob("*"):
        try:
            if _WITHOUT_HARDWARE in device.resolve().parts:
                names.append((device / "name").read_text(encoding="utf-8", errors="replace").strip()[:80])
        except OSError:
            continue  # pulled out this moment
    return tuple(sorted(names))
