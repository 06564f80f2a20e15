"""Where model files lie on this machine."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from renzheng.models.errors import ModelMissingError

_PACKAGE = "face_recognition_models"


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds this machine's own files: RENZHENG_HOME, else ~/.local/share/renzheng."""
    return Path(environment.get("RENZHENG_HOME") or Path.home() / ".local" / "share" / "renzheng")


def models_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of converted and added models."""
    return home(environment) / "models"


def search_path(environment: Mapping[str, str] = os.environ, first: Path | None = None) -> tuple[Path, ...]:
    """Return the folders that may hold model files: `first`, RENZHENG_MODEL_DIR's, then our own."""
    added = environment.get("RENZHENG_MODEL_DIR")
    named = [first] if first is not None else []
    return (*named, *([Path(added)] if added else []), models_folder(environment))


def dlib_file(name: str) -> Path:
    """Return one of the network files that the package face_recognition_models installs.

    The package is found without being imported: its import ends the process where pkg_resources is missing.

    Raises:
        ModelMissingError: the package is not installed, or without that file.
    """
    spec = find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "models" / name
        if path.is_file():
            return path
    raise ModelMissingError(
        f"dlib's network file {name} is not installed.",
        why="Every engine that uses dlib reads it.",
        do="Install it with: pip install --no-deps face-recognition-models==0.3.0",
    )
