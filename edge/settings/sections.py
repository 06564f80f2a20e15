"""What every section of the settings file shares: unknown keys are refused, relative paths are the file's."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationInfo


class Section(BaseModel):
    """One section: read once, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def anchored(path: Path | None, info: ValidationInfo) -> Path | None:
    """Read a path relative to the settings file's folder, which the context names."""
    folder = (info.context or {}).get("folder")
    return path if path is None or folder is None else folder / path
