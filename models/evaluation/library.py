"""The library face_recognition as it is: the reference for the engines, not used in production."""

import importlib
import warnings
from hashlib import sha256
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

from renzheng.models.conversion.convert import SOURCES
from renzheng.models.errors import ModelMissingError
from renzheng.models.templates import ModelId, Template, model_id

NAME = "face_recognition"
TOLERANCE = 0.6  # the distance that its users take for granted

Pixels = NDArray[np.uint8]


def load_library() -> ModuleType:
    """Import face_recognition, which ends the process by itself where pkg_resources is missing.

    Raises:
        ModelMissingError: it, or what it needs, is not installed.
    """
    truncated_are_read = ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it still imports pkg_resources, which is deprecated
        try:
            importlib.import_module("pkg_resources")
            return importlib.import_module("face_recognition")
        except (ImportError, SystemExit):
            raise ModelMissingError(
                "The library face_recognition is not installed, or without pkg_resources.",
                why="It is the reference that the engines are held against.",
                do="Install with: pip install --no-deps face-recognition==1.3.0; pip install 'setuptools<81'",
            ) from None
        finally:
            # It makes Pillow take half an image for a whole one, in the whole process.
            ImageFile.LOAD_TRUNCATED_IMAGES = truncated_are_read


class LibraryEngine:
    """face_recognition with its defaults: gradient detector, five points, Euclidean distance."""

    def __init__(self) -> None:
        self._library = load_library()
        self.model: ModelId = model_id(
            [(NAME, sha256(SOURCES["dlib-resnet"].sha256.encode()).hexdigest(), 128)]
        )

    def template(self, image: Pixels) -> Template | None:
        """Return the template of the largest face that the library finds, or None."""
        places = self._library.face_locations(image)
        if not places:
            return None
        largest = max(places, key=lambda place: (place[2] - place[0]) * (place[1] - place[3]))
        encoded = self._library.face_encodings(image, known_face_locations=[largest])[0]
        return Template(np.asarray(encoded, dtype=np.float32), self.model)
