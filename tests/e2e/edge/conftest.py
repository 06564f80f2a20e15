"""The real face engine, where the portraits are there for it to look at; one browser a file."""

import pytest
from parts import chromium
from parts.edge import be_unmoved_by_load
from parts.films import Films
from parts.portraits import PORTRAITS, REFERENCE

from renzheng.models.engine import open_engine


@pytest.fixture(scope="session")
def engine():
    if not (PORTRAITS / REFERENCE).exists():
        pytest.skip(f"no portraits in {PORTRAITS}: run make setup, or set RENZHENG_PORTRAITS")
    return open_engine("dlib", threads=1, population="lfw")  # what the portraits are of


@pytest.fixture(autouse=True)
def unmoved_by_load(monkeypatch):
    """Machines that are too slow are pretended, never real."""
    be_unmoved_by_load(monkeypatch)


@pytest.fixture(scope="module", autouse=True)
def one_browser(tmp_path_factory):
    """Every test of a file opens its page in the same Chromium, in a context of its own."""
    with chromium.shared(tmp_path_factory.mktemp("chromium")):
        yield


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """What moves before the cameras; rendered once."""
    return Films(tmp_path_factory.mktemp("films"))
