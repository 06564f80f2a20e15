"""The suite's broker and stores, and its report at the end."""

import pytest
from faults.counts import COUNTS
from parts.mosquitto import Mosquitto
from parts.postgresql import PostgreSql


@pytest.fixture(scope="session")
def postgresql_server():
    with PostgreSql(durable=True) as server:
        yield server


@pytest.fixture
def broker(tmp_path):
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as running:
        yield running


@pytest.fixture
def counts():
    return COUNTS


def pytest_terminal_summary():
    if COUNTS.parts:
        COUNTS.write()
        COUNTS.show()
