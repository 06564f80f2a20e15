"""What nearly a thousand imports share: to start DuckDB takes longer than to settle a few rows in it."""

import itertools
from contextlib import contextmanager

import pytest

from renzheng.central.claims import importer, platform, staging


@pytest.fixture(scope="session", autouse=True)
def one_engine(tmp_path_factory):
    """Give each import an empty database of its own in one running DuckDB."""
    number = itertools.count()
    folder = tmp_path_factory.mktemp("duckdb")
    with staging.database(folder) as running, pytest.MonkeyPatch.context() as patch:
        running.execute("SET GLOBAL TimeZone = 'UTC'")

        @contextmanager
        def database(_folder):
            connection, name = running.cursor(), f"import_{next(number)}"
            connection.execute("SET enable_progress_bar = false")
            connection.execute(f"ATTACH ':memory:' AS {name}; USE {name}; CREATE TABLE made (name VARCHAR)")
            try:
                yield connection
            finally:
                connection.execute(f"USE memory; DETACH {name}")
                connection.close()

        for module in (importer, platform):
            patch.setattr(module, "database", database)
        yield
