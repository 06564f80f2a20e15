"""Where pictures of the real pages go: all into `artefacts`, the README's own into `docs/images` when asked.

`RENZHENG_ARTEFACTS` names another folder; `RENZHENG_PICTURES=1` renews the README's.
"""

import os
import shutil
from pathlib import Path

ARTEFACTS = Path(os.environ.get("RENZHENG_ARTEFACTS", "artefacts"))
_README = Path(__file__).parents[2] / "docs" / "images"


def folder(name: str) -> Path:
    """The folder of one part's pictures; it is there afterwards."""
    path = ARTEFACTS / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def for_readme(picture: Path, name: str) -> None:
    """Put a picture into the README's folder, if its pictures are to be renewed."""
    if os.environ.get("RENZHENG_PICTURES"):
        _README.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, _README / f"{name}.png")
