"""For all tests of agents: a busy machine is none that is too slow."""

import pytest
from parts.edge import be_unmoved_by_load


@pytest.fixture(autouse=True)
def unmoved_by_load(monkeypatch):
    """Machines that are too slow are pretended, never real."""
    be_unmoved_by_load(monkeypatch)
