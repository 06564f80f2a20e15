"""`renzheng central access`: check the access log, and see who has looked at whom."""

from pathlib import Path
from typing import Annotated

import typer

from renzheng.central.shell import SHELL, open_store
from renzheng.common.terminal import Terminal, table
from renzheng.common.words import say
from renzheng.contracts.events import utc_now

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")


@app.callback()
def overview() -> None:
    """Check the access log, and see who has looked at whom."""


@app.command("verify")
def verify_log(config: Config = CONFIG) -> None:
    """Check every entry of the access log, and hold it against the latest checkpoint."""
    from renzheng.central.access import access_log, log_retention
    from renzheng.central.site.succession import read_former
    from renzheng.central.verify.publish import check_leaf
    from renzheng.contracts import keys

    settings, database = open_store(config)
    key_file = settings.key_file
    own = keys.load_private_key(key_file.read_bytes())
    with database.reading() as connection:
        begins = log_retention.beginning(connection, own, *read_former(key_file).public.values())
        end = access_log.verify(connection, beginning=begins)
        bound = check_leaf(connection, access_log.LEAF)
    Terminal().print(say("{0} entries hold; the checkpoints bind the first {1}", end.sequence, bound))


@app.command("who-looked")
def who_looked(
    person: Annotated[str, typer.Argument(help="The person's id, as in the claims.")],
    config: Config = CONFIG,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Show so many entries, the latest.")] = 200,
) -> None:
    """Say who has read or changed a person's data; the question itself is written down."""
    from renzheng.central.access import access_log, spelling
    from renzheng.central.access.access_log import Access, Wanted
    from renzheng.central.store.times import from_us

    _, database = open_store(config)
    with database.writing() as connection:
        person = spelling.find(connection, person)
        also = spelling.of(connection, person)
        asked = Access(SHELL, (), "-", "who_looked", "-", "data_protection", "shown", (person,))
        access_log.append(connection, asked, utc_now())
        total, rows = access_log.read(connection, Wanted(person_id=person, also=also, limit=limit))
    shown = table("time", "account", "roles", "from", "what", "purpose", "outcome")
    for row in rows:
        at = f"{from_us(row['at']):%Y-%m-%d %H:%M:%S}Z"
        told = (row["account"], " ".join(row["roles"]), row["address"], row["what"], row["purpose"])
        shown.add_row(at, *told, row["outcome"])
    Terminal().print(shown)
    Terminal().print(say("{0} entries in all", total))
