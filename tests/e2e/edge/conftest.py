"""The real face engine, where the portraits are there for it to look at."""

import pytest
from parts.portraits import PORTRAITS, REFERENCE

from renzheng.models.engine import open_engine


@pytest.fixture(scope="session")
def engine():
    if not (PORTRAITS / REFERENCE).exists():
        pytest.skip(f"no portraits in {PORTRAITS}: run make setup, or set RENZHENG_PORTRAITS")
    return open_engine("dlib", threads=1)
