"""The suite's broker and stores, and its report at the end."""

import shutil
import sqlite3

import pytest
from faults.counts import COUNTS
from parts.mosquitto import Mosquitto
from parts.postgresql import PostgreSql

from renzheng.central.store.database import Database


@pytest.fixture(scope="session")
def postgresql_server():
    with PostgreSql(durable=True) as server:
        yield server


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A central's file as the migrations make it, to be copied: that is quicker than to migrate."""
    path = tmp_path_factory.mktemp("empty") / "central.sqlite"
    store = Database(f"sqlite:///{path}")
    store.migrate()
    store.close()
    whole = sqlite3.connect(path)
    whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole.close()
    return path


@pytest.fixture
def database(tmp_path, empty_store):
    store = Database(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'central.sqlite')}")
    yield store
    store.close()


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
