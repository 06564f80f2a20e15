"""Labelled presentations for the evaluation of liveness: a list, and the frames behind each line of it."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from renzheng.models.errors import LabelsFileError
from renzheng.models.evaluation.sets import is_photograph
from renzheng.models.images import decode

Pixels = NDArray[np.uint8]

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".y4m"})
_COLUMNS = {
    "file": ("file", "path", "folder", "presentation"),
    "species": ("species", "instrument", "pai_species"),
    "label": ("label", "truth", "kind", "class", "type", "bona_fide_or_attack"),
}
_LABELS = {
    "bona_fide": False,
    "bonafide": False,
    "live": False,
    "attack": True,
    "attack_presentation": True,
    "spoof": True,
}
_LINES_SHOWN = 5


@dataclass(frozen=True)
class Presentation:
    """One line of the list.

    Attributes:
        name: as the list names it.
        path: an image, a video, or a folder of frames in the order of their names.
        species: the attack instrument species; of bona fide presentations, whatever the list says.
        attack: whether it is an attack presentation.
        camera: what the camera calls itself, where the list says so.
    """

    name: str
    path: Path
    species: str
    attack: bool
    camera: str = ""


def read_labels(labels: Path, folder: Path) -> list[Presentation]:
    """Read a list: CSV with the columns file, species and label (`bona_fide` or `attack`), perhaps camera.

    Raises:
        LabelsFileError: it cannot be read, lacks a column, or lines of it cannot be used; each is named.
    """
    if not folder.is_dir():
        raise LabelsFileError(f"{folder} is no folder.", do="Name the folder that the list's files lie in.")
    try:
        with labels.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            places = _columns([name.strip().lower() for name in reader.fieldnames or ()], labels)
            rows = [
                {
                    (key or "").strip().lower(): (value or "")
                    for key, value in row.items()
                    if isinstance(value, str)
                }
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsFileError(f"{labels} cannot be read: {error}.", do="Give a CSV file in UTF-8.") from None
    read, wrong = [], []
    for line, row in enumerate(rows, start=2):
        made = _presentation(row, places, folder)
        if isinstance(made, str):
            wrong.append(f"line {line}: {made}")
        else:
            read.append(made)
    if wrong:
        more = f"; and {len(wrong) - _LINES_SHOWN} more" if len(wrong) > _LINES_SHOWN else ""
        raise LabelsFileError(
            f"{labels} has {len(wrong)} lines that cannot be used: {'; '.join(wrong[:_LINES_SHOWN])}{more}.",
            do="Mend these lines.",
        )
    if not read:
        raise LabelsFileError(f"{labels} names no presentation.", do="List at least one.")
    return read


def _columns(names: list[str], labels: Path) -> dict[str, str]:
    found = {wanted: name for wanted, known in _COLUMNS.items() for name in reversed(known) if name in names}
    missing = [wanted for wanted in _COLUMNS if wanted not in found]
    if missing:
        raise LabelsFileError(
            f"{labels} lacks the column(s) {', '.join(missing)}.",
            do="Begin it with the line: file,species,label",
        )
    return found


def _presentation(row: dict[str, str], places: dict[str, str], folder: Path) -> Presentation | str:
    name, species, label = (row.get(places[key], "").strip() for key in _COLUMNS)
    attack = _LABELS.get(label.lower().replace(" ", "_").replace("-", "_"))
    if not name:
        return "no file"
    if attack is None:
        return f"label {label[:40]!r} is neither bona_fide nor attack"
    if attack and not species:
        return "an attack without its species"
    path = folder / name
    if not path.exists():
        return f"{name[:80]} is not there"
    return Presentation(name, path, species or "bona_fide", attack, row.get("camera", "").strip())


def frames_of(presentation: Presentation) -> Iterator[Pixels]:
    """Read the frames, RGB, one after the other.

    Raises:
        ImageError: a file is no image, or damaged.
        LabelsFileError: there is no frame at all.
    """
    path = presentation.path
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if is_photograph(Path(each.name)))
        if not files:
            raise LabelsFileError(f"{path} holds no frames.", do="Put numbered images into it.")
        for each in files:
            yield decode(each.read_bytes())
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        yield from _frames_of_video(path)
    else:
        yield decode(path.read_bytes())


def _frames_of_video(path: Path) -> Iterator[Pixels]:
    video = cv2.VideoCapture(str(path))
    try:
        read, frame = video.read()
        if not read:
            raise LabelsFileError(f"{path} cannot be read as a video.", do="Give a folder of frames instead.")
        while read:
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
            read, frame = video.read()
    finally:
        video.release()
