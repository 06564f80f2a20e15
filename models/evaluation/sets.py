"""What is compared with what: a list of pairs, or a folder with one sub-folder a person."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from renzheng.models.catalogue.cards import card
from renzheng.models.engine import ENGINES
from renzheng.models.errors import PairsFileError, UnknownEngineError
from renzheng.models.evaluation.acquisition import Sample
from renzheng.models.templates import ModelId, Template, lengths, model_id

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".heic", ".heif", ".hif", ".avif"),
        *(".tif", ".tiff", ".gif"),
    }
)
"""How photographs' names end; the last three are not read, and counted as not acquired."""
_ARCHIVED = "__MACOSX"
"""A folder that macOS puts into archives; its files, and others that begin with a dot, are no photographs."""
# So many comparisons of strangers show a false match rate of 1e-5; more would only take memory.
MOST_NON_MATED = 1_000_000
_PAIR_COLUMNS = ("file_x", "file_y", "mated")
_GROUP_COLUMNS = ("file", "group")
_SEX_COLUMNS = ("person", "sex")


@dataclass(frozen=True)
class Comparison:
    """A probe image with one person's reference images, as indices into the images."""

    probe: int
    references: tuple[int, ...]
    mated: bool


@dataclass(frozen=True)
class Photographs:
    """Images and who they are of.

    Attributes:
        images: paths.
        person: int, (images,). From a list of pairs: files that mated pairs link are one person.
        pairs: the comparisons that a list of pairs asks for; None where every image meets every other.
    """

    images: tuple[Path, ...]
    person: NDArray[np.int64]
    pairs: tuple[Comparison, ...] | None = None


def read_identities(folder: Path) -> Photographs:
    """Return the images below `folder`, one sub-folder a person, and who each is of.

    Hidden files and folders, and those that macOS adds to archives, are passed over.

    Raises:
        PairsFileError: fewer than two people have images.
    """
    if not folder.is_dir():
        raise PairsFileError(f"{folder} is no folder.", do="Name a folder with one sub-folder a person.")
    images: list[Path] = []
    person: list[int] = []
    people = 0
    for sub in sorted(path for path in folder.iterdir() if path.is_dir()):
        own = sorted(
            path for path in sub.rglob("*") if is_photograph(path.relative_to(folder)) and path.is_file()
        )
        images += own
        person += [people] * len(own)
        people += bool(own)
    if people < 2:  # noqa: PLR2004 - one cannot be compared with another
        raise PairsFileError(
            f"{folder} holds images of {people} people in sub-folders.",
            do="Give each person a sub-folder of its own.",
        )
    return Photographs(tuple(images), np.array(person, dtype=np.int64))


def is_photograph(path: Path) -> bool:
    """Say whether a path, relative to the folder that was named, is a photograph's by its name."""
    hidden = any(part.startswith(".") or part == _ARCHIVED for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def all_pairs(person: NDArray[np.int64], most: int = MOST_NON_MATED) -> tuple[Comparison, ...]:
    """Compare every image with every other; of more than `most` non-mated pairs, an even sample."""
    count = len(person)
    _, sizes = np.unique(person, return_counts=True)
    step = sampling_step((count**2 - int((sizes**2).sum())) // 2, most)
    comparisons = []
    for one in range(count):
        others = np.arange(one + 1, count)
        mated = person[others] == person[one]
        chosen = others[mated | is_sampled(one, others, step)].tolist()
        comparisons += [Comparison(one, (other,), bool(person[other] == person[one])) for other in chosen]
    return tuple(comparisons)


def sampling_step(available: int, most: int) -> int:
    """Return of how many comparisons one is taken, so that at most about `most` are."""
    return max(1, -(-available // most))


def is_sampled(one: int, others: NDArray[np.int64], step: int) -> NDArray[np.bool_]:
    """Choose one in `step`, scattered by Knuth's multiplicative hash, so that nobody is preferred."""
    chosen: NDArray[np.bool_] = (one * 2_654_435_761 + others * 40_503) % 2**32 % step == 0
    return chosen


def with_references(
    person: NDArray[np.int64], acquired: NDArray[np.bool_], count: int, most: int = MOST_NON_MATED
) -> tuple[Comparison, ...]:
    """Compare every image with `count` references of every person; of more than `most` non-mated, a sample.

    The references of a person are taken in turn: those behind the probe in the person's own order of images,
    so that every image serves. Only acquired images are enrolled, as at a site; the probe itself never is.
    """
    people = np.unique(person)
    enrolled = {int(who): np.flatnonzero((person == who) & acquired) for who in people}
    step = sampling_step(len(person) * (len(people) - 1), most)
    comparisons = []
    for probe in range(len(person)):
        for who in people[(people == person[probe]) | is_sampled(probe, people, step)].tolist():
            others = enrolled[who][enrolled[who] != probe]
            if not len(others):
                continue
            mated = who == person[probe]
            start = int(np.searchsorted(others, probe)) if mated else probe
            chosen = tuple(int(others[(start + at) % len(others)]) for at in range(min(count, len(others))))
            comparisons.append(Comparison(probe, chosen, bool(mated)))
    return tuple(comparisons)


def read_pairs(path: Path, folder: Path) -> Photographs:
    """Read `file_x,file_y,mated` (1 or 0), paths relative to `folder`.

    Raises:
        PairsFileError: with the line of the first fault.
    """
    rows = _rows(path, _PAIR_COLUMNS)
    names: dict[str, int] = {}
    comparisons = []
    for line, row in rows:
        if row["mated"] not in ("0", "1"):
            raise PairsFileError(
                f"{path.name} line {line}: mated is {row['mated']!r}.",
                do="Write 1 (same person) or 0.",
                line=line,
            )
        one, other = (names.setdefault(row[column], len(names)) for column in ("file_x", "file_y"))
        comparisons.append(Comparison(one, (other,), row["mated"] == "1"))
    images = tuple(folder / name for name in names)
    missing = next((image for image in images if not image.is_file()), None)
    if missing is not None:
        raise PairsFileError(
            f"{path.name} names {missing}, which does not exist.", do="Check --images and the list."
        )
    return Photographs(images, _linked(len(names), comparisons), tuple(comparisons))


def read_groups(path: Path, images: Sequence[Path], folder: Path) -> dict[str, NDArray[np.bool_]]:
    """Read `file,group`, paths relative to `folder`; return which images are in each group."""
    group_of = {folder / row["file"]: row["group"] for _, row in _rows(path, _GROUP_COLUMNS)}
    labels = np.array([group_of.get(image, "") for image in images])
    return {name: labels == name for name in sorted(set(labels.tolist()) - {""})}


def read_sexes(path: Path) -> dict[str, str]:
    """Read `person,sex`: a person as the gallery, or the sub-folder, calls them."""
    return {row["person"]: row["sex"] for _, row in _rows(path, _SEX_COLUMNS)}


def read_templates(path: Path, engine: str, array: str | None) -> tuple[Photographs, list[Sample]]:
    """Read templates instead of photographs: an .npz file of `person` (images,) and arrays (images, length).

    An array of the templates of several networks serves an engine that uses some of them.

    Args:
        path: the file; an image without a template has a row of NaN.
        engine: whose templates they are.
        array: which of the file's arrays; None: the one named as the engine.

    Raises:
        PairsFileError: it is no such file.
        UnknownEngineError: no engine of that name.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            person, values = file["person"], file[array or engine]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise PairsFileError(
            f"{path} holds no templates of {array or engine}.",
            why=str(error),
            do="Give an .npz file with `person` and the array that --array names.",
        ) from error
    model, columns = columns_of(engine, values.shape[-1] if values.ndim > 1 else 0)
    if person.shape != values.shape[:1] or columns is None:
        raise PairsFileError(
            f"{array or engine} in {path.name} has the shape {values.shape}, `person` {person.shape}.",
            why=f"A template of {engine} has {sum(lengths(model))} numbers.",
            do="Name the engine that made the templates, or another array.",
        )
    chosen = values[:, columns].astype(np.float32)
    samples = [
        Sample(Template(row, model)) if np.isfinite(row).all() else Sample(None, "no_face") for row in chosen
    ]
    images = tuple(path / str(number) for number in range(len(samples)))
    return Photographs(images, np.unique(person, return_inverse=True)[1].astype(np.int64)), samples


def read_group_array(path: Path, name: str, person: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Read an array of an .npz file that puts its images, or its people, into groups.

    Args:
        path: the file that `read_templates` read.
        name: of the array: one value an image, or one a number in `person`.
        person: (images,) as `read_templates` returned it.

    Returns:
        Which images are in each group, by `name=value`.

    Raises:
        PairsFileError: there is no such array.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            values, numbers = file[name], file["person"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise PairsFileError(
            f"{path} holds no array {name} for groups.", why=str(error), do="Name one that it holds."
        ) from error
    if values.shape == person.shape:
        of_image = values
    elif (
        values.ndim == 1 and numbers.dtype.kind in "iu" and numbers.min() >= 0 and numbers.max() < len(values)
    ):
        of_image = values[numbers]
    else:
        raise PairsFileError(
            f"{name} in {path.name} has the shape {values.shape}, which is neither of images nor of people.",
            do="Give one value an image, or one a person.",
        )
    return {f"{name}={value}": of_image == value for value in np.unique(of_image).tolist()}


def columns_of(engine: str, length: int) -> tuple[ModelId, slice | None]:
    """Return an engine's model, and which columns of rows of that length are its templates; None: no such."""
    wanted = ENGINES.get(engine)
    if wanted is None:
        raise UnknownEngineError(f"There is no engine {engine!r}.", do=f"Known: {', '.join(ENGINES)}.")
    model = _model_of(wanted.embedders)
    if sum(lengths(model)) == length:
        return model, slice(0, length)
    for recipe in ENGINES.values():
        sizes = lengths(_model_of(recipe.embedders))
        if sum(sizes) == length and len(wanted.embedders) == 1 and wanted.embedders[0] in recipe.embedders:
            place = recipe.embedders.index(wanted.embedders[0])
            return model, slice(sum(sizes[:place]), sum(sizes[: place + 1]))
    return model, None


def _model_of(embedders: Sequence[str]) -> ModelId:
    found = [card(name) for name in embedders]
    return model_id([(each.name, each.sha256, each.output.length) for each in found])


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PairsFileError(
            f"{path} cannot be read.", why=str(error), do="Write it as UTF-8 CSV."
        ) from error
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != columns:
        raise PairsFileError(
            f"{path.name} line 1: the columns are {reader.fieldnames}.",
            do=f"Write: {','.join(columns)}",
            line=1,
        )
    rows: list[tuple[int, dict[str, str]]] = []
    for row in reader:
        if None in row or any(value is None or not value.strip() for value in row.values()):
            raise PairsFileError(
                f"{path.name} line {reader.line_num}: not {len(columns)} values.", line=reader.line_num
            )
        rows.append((reader.line_num, {key: value.strip() for key, value in row.items()}))
    if not rows:
        raise PairsFileError(
            f"{path.name} has no rows.", do=f"Write one comparison a line: {','.join(columns)}"
        )
    return rows


def _linked(count: int, comparisons: Sequence[Comparison]) -> NDArray[np.int64]:
    """Number the groups of images that mated pairs link."""
    leader = list(range(count))

    def find(image: int) -> int:
        while leader[image] != image:
            leader[image] = leader[leader[image]]
            image = leader[image]
        return image

    for comparison in comparisons:
        if comparison.mated:
            leader[find(comparison.probe)] = find(comparison.references[0])
    return np.unique([find(image) for image in range(count)], return_inverse=True)[1].astype(np.int64)
