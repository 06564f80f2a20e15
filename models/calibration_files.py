"""Keeps calibrations and galleries in files."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from renzheng.common.files import write_whole
from renzheng.models.calibration import Calibration
from renzheng.models.comparison import Damping, Space
from renzheng.models.decision import SameSex, Threshold
from renzheng.models.errors import CalibrationError, TemplateDamagedError
from renzheng.models.home import home
from renzheng.models.templates import KeyId, ModelId, Template, lengths

_FORM = 2


class _Point(BaseModel):
    model_config = ConfigDict(extra="forbid")

    score: float
    fmr: float = Field(gt=0, le=1)
    fmr_low: float
    fmr_high: float
    basis: str
    fnmr: float | None = None


class _Direction(BaseModel):
    """One direction that is damped; a form 1 file has none."""

    model_config = ConfigDict(extra="forbid")

    share: float = Field(ge=0, le=1)
    along: list[float]


class _SameSex(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sex: str
    people: int
    pairs: int
    rates: list[tuple[float, float]]


class _File(BaseModel):
    """A calibration as a file; form 2, of which form 1 is the part without `damping`."""

    model_config = ConfigDict(extra="forbid")

    form: int = Field(default=_FORM, ge=1, le=_FORM)
    engine: str
    model: str
    key: str
    version: int = Field(ge=1)
    people: int
    comparisons: int
    made_at: AwareDatetime
    centre: list[float]
    weights: list[float]
    thresholds: list[_Point] = Field(min_length=2)
    damping: list[_Direction] = []
    same_sex: list[_SameSex] = []


def calibrations_folder() -> Path:
    """Return this machine's folder of calibrations."""
    return home() / "calibrations"


def save(folder: Path, engine: str, calibration: Calibration) -> Path:
    """Write a calibration beside its predecessors; none is ever overwritten.

    Raises:
        CalibrationError: that version is there already.
    """
    path = folder / f"{engine}.v{calibration.version}.json"
    if path.exists():
        raise CalibrationError(f"{path} exists already.", do="Calibrate again, following the latest version.")
    assert calibration.made_at is not None
    content = _File(
        engine=engine,
        model=calibration.space.model,
        key=calibration.key,
        version=calibration.version,
        people=calibration.people,
        comparisons=calibration.comparisons,
        made_at=calibration.made_at,
        centre=[float(value) for value in calibration.space.centre],
        weights=list(calibration.space.weights),
        thresholds=[_Point(**vars(point)) for point in calibration.thresholds],
        damping=_directions(calibration.space.damping),
        same_sex=[
            _SameSex(sex=each.sex, people=each.people, pairs=each.pairs, rates=list(each.rates))
            for each in calibration.same_sex
        ],
    )
    write_whole(path, content.model_dump_json(indent=1).encode())
    return path


def load(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        CalibrationError: it is not one; every fault is named.
    """
    try:
        content = _File.model_validate_json(path.read_bytes())
        length = sum(lengths(ModelId(content.model)))
        if len(content.centre) != length or any(len(each.along) != length for each in content.damping):
            raise CalibrationError(
                f"The centre or a direction in {path.name} does not fit its model.", do="Calibrate again."
            )
    except (OSError, ValidationError) as error:
        raise CalibrationError(
            f"{path} is no calibration.", why=str(error)[:500], do="Run: renzheng models calibrate"
        ) from error
    made_at: datetime = content.made_at
    return Calibration(
        space=Space(
            ModelId(content.model),
            np.array(content.centre, dtype=np.float32),
            tuple(content.weights),
            damping=_damping(content.damping),
        ),
        thresholds=tuple(Threshold(**vars(point)) for point in content.thresholds),
        key=KeyId(content.key),
        version=content.version,
        people=content.people,
        comparisons=content.comparisons,
        made_at=made_at,
        same_sex=tuple(
            SameSex(each.sex, each.people, each.pairs, tuple(each.rates)) for each in content.same_sex
        ),
    )


def _directions(damping: Damping | None) -> list[_Direction]:
    if damping is None:
        return []
    return [
        _Direction(share=float(share), along=[float(value) for value in along])
        for share, along in zip(damping.shares, damping.directions, strict=True)
    ]


def _damping(directions: Sequence[_Direction]) -> Damping | None:
    if not directions:
        return None
    return Damping(
        np.array([each.along for each in directions], dtype=np.float32),
        np.array([each.share for each in directions], dtype=np.float32),
    )


def latest(folder: Path, engine: str, model: ModelId, key: KeyId | None = None) -> Calibration | None:
    """Return the newest calibration of an engine, or None if there is none for this very model (and key)."""
    versions = {}
    for path in folder.glob(f"{engine}.v*.json"):
        number = path.name.removeprefix(f"{engine}.v").removesuffix(".json")
        if number.isdigit():
            versions[int(number)] = path
    for version in sorted(versions, reverse=True):
        found = load(versions[version])
        if found.space.model == model and key in (None, found.key):
            return found
    return None


def write_gallery(path: Path, gallery: Mapping[str, Sequence[Template]]) -> None:
    """Write a gallery, one template a line.

    The file is as protected as its templates are: transform them first.
    """
    lines = [
        json.dumps({"person": who, "template": base64.b64encode(template.to_bytes()).decode()})
        for who, templates in gallery.items()
        for template in templates
    ]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def read_gallery(path: Path) -> dict[str, list[Template]]:
    """Read what `write_gallery` wrote.

    Raises:
        CalibrationError: with the line of the first fault.
    """
    gallery: dict[str, list[Template]] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path} cannot be read.", why=str(error), do="Check the path.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = json.loads(line)
            template = Template.from_bytes(base64.b64decode(entry["template"], validate=True))
            gallery.setdefault(str(entry["person"]), []).append(template)
        except (ValueError, KeyError, TypeError, TemplateDamagedError) as error:
            raise CalibrationError(
                f"{path.name} line {number} is no template.",
                why=str(error),
                do="Export the gallery again.",
                line=number,
            ) from error
    return gallery
