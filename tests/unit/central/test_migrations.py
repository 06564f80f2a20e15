"""The migrations of central's store are one chain, each with a number of its own."""

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from renzheng.central.store import migrations

FOLDER = Path(migrations.__file__).parent


def test_migrations_are_one_chain_in_the_order_of_their_numbers() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    scripts = ScriptDirectory.from_config(config)
    assert len(scripts.get_heads()) == 1
    chain = [Path(script.path).name for script in scripts.walk_revisions()]
    files = sorted((file.name for file in (FOLDER / "versions").glob("[0-9]*.py")), reverse=True)
    assert chain == files
    assert [int(name[:4]) for name in files] == list(range(len(files), 0, -1))
