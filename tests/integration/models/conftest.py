"""Photographs and models that the models' tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from renzheng.models.conversion.convert import SOURCES, ensure_converted
from renzheng.models.engine import FaceEngine, open_engine
from renzheng.models.images import decode

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def portraits() -> Path:
    """The folder of public-domain portraits that set-up fetches."""
    folder = Path(os.environ.get("RENZHENG_PORTRAITS") or CHECKOUT / ".cache" / "portraits")
    if not (folder / "obama.jpg").is_file():
        message = f"the portraits are not in {folder}: run `make setup`"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def photographs(portraits: Path) -> dict[str, np.ndarray]:
    """The portraits' pixels by the name of their file, without its ending."""
    return {
        path.stem: decode(path.read_bytes())
        for path in sorted(portraits.iterdir())
        if path.suffix in (".jpg", ".png")
    }


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of the tests' own, with dlib's networks converted into it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RENZHENG_HOME", str(home))
        for name in SOURCES:
            ensure_converted(name)
        yield home


@pytest.fixture(scope="session")
def engine(converted: Path) -> FaceEngine:
    """The engine `dlib`, from the installed packages alone."""
    return open_engine("dlib")
