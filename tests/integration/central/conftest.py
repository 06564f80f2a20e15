"""Stores on both backends, a real broker, and a central between them."""

import pytest
import sqlalchemy as sa
from parts import stores
from parts.central import OnWire, register, running_central
from parts.devices import LogWriter
from parts.mosquitto import Mosquitto
from parts.postgresql import PostgreSql

from renzheng.central.store.database import Database


@pytest.fixture(scope="session")
def postgresql_server():
    with PostgreSql() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_database(postgresql_server):
    """The name of a database that is as the migrations make it, to be copied."""
    url = postgresql_server.new_database()
    store = Database(url)
    store.migrate()
    store.close()
    return sa.make_url(url).database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        return stores.lay(f"sqlite:///{tmp_path / 'central.sqlite'}")
    template = request.getfixturevalue("migrated_database")
    return request.getfixturevalue("postgresql_server").new_database(template)


@pytest.fixture
def database(database_url):
    store = Database(database_url)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def writer(database):
    return register(database, LogWriter())


@pytest.fixture
def broker(tmp_path):
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as running:
        yield running


@pytest.fixture
def central(tmp_path, broker):
    with running_central(tmp_path / "central", broker.port) as running:
        yield running


@pytest.fixture
def wire(central, broker):
    client = OnWire(broker.port, central)
    yield client
    client.close()
