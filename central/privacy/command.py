"""``renzheng privacy``: withdrawals, retention, rights and filing, from central's shell."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renzheng.common.terminal import Terminal
from renzheng.common.words import say
from renzheng.contracts.events import utc_now

if TYPE_CHECKING:
    import sqlalchemy as sa

    from renzheng.central.settings import Settings
    from renzheng.central.store.database import Database

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")
Person = Annotated[str, typer.Argument(help="The person's id, as in the claims.")]


@app.callback()
def overview() -> None:
    """Keep to the law on persons' data: withdrawals, retention, rights, filing."""


def _store(config: Path) -> "tuple[Settings, Database]":
    from renzheng.central.settings import read_settings
    from renzheng.central.store.database import Database

    settings = read_settings(config)
    database = Database(settings.database)
    database.migrate()
    return settings, database


def _note(connection: "sa.Connection", act: str, what: str, person: str, *, changed: bool = False) -> None:
    """Write into the access log what is read or done about a person from a shell."""
    from renzheng.central.access import access_log
    from renzheng.central.access.access_log import Access
    from renzheng.central.access.command import SHELL

    outcome = "changed" if changed else "shown"
    told = Access(SHELL, (), "-", act, what, "data_protection", outcome, (person,))
    access_log.append(connection, told, utc_now())


@app.command()
def withdraw(person: Person, config: Config = CONFIG) -> None:
    """Take a person's consent back everywhere: every device destroys key, references and crops."""
    from renzheng.central.access.command import SHELL
    from renzheng.central.privacy import orders, withdrawals

    _, database = _store(config)
    with database.writing() as connection:
        withdrawal = withdrawals.asked_here(person, "shell", SHELL, utc_now())
        withdrawals.begin(connection, withdrawal, utc_now())
        _note(connection, "withdrawn", withdrawal.withdrawal_id, withdrawal.person_id, changed=True)
        told = orders.of_subject(connection, withdrawal.withdrawal_id)
    Terminal().print(
        say("withdrawal {0}: {1} devices are told within minutes", withdrawal.withdrawal_id, len(told))
    )


@app.command("withdrawals")
def list_withdrawals(
    config: Config = CONFIG,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Show so many, the latest.")] = 50,
) -> None:
    """List withdrawals, and which devices have not certified them yet. No person is named."""
    from rich.markup import escape
    from rich.table import Table

    from renzheng.central.privacy import withdrawals
    from renzheng.central.store.times import from_us

    _, database = _store(config)
    with database.reading() as connection:
        total, rows = withdrawals.listed(connection, limit)
    table = Table("withdrawal", "at", "told", "outstanding", box=None)
    for row in rows:
        at = f"{from_us(row['withdrawn_at']):%Y-%m-%d %H:%M}Z"
        table.add_row(row["withdrawal_id"], at, str(row["told"]), escape(" ".join(row["outstanding"])) or "-")
    Terminal().print(table)
    Terminal().print(say("{0} withdrawals in all", total))


@app.command()
def retention(config: Config = CONFIG) -> None:
    """Show what is kept, for how long and until when; by what it is deleted, and who decides on the days."""
    from rich.table import Table

    from renzheng.central.privacy import retention as keeping

    settings, database = _store(config)
    with database.reading() as connection:
        rows = keeping.overview(connection, settings)
    table = Table("kept", "days", "deleted by", "decided by", "rows", "oldest until", box=None)
    for row in rows:
        item, until = row["item"], row["until"]
        days = "-" if item.days is None else f"{item.days:g}"
        count = "-" if row["count"] is None else str(row["count"])
        shown = "-" if until is None else f"{until:%Y-%m-%d}"
        table.add_row(item.key, days, item.by, item.changed_by, count, shown)
    Terminal().print(table)


@app.command()
def settle(
    order: Annotated[str, typer.Argument(help="The order, as the page of the withdrawal names it.")],
    reason: Annotated[str, typer.Option(help="What was seen instead: a disk that was destroyed, and where.")],
    config: Config = CONFIG,
) -> None:
    """Settle by hand an order that a device can never answer, such as one that was stolen or scrapped."""
    from renzheng.central.access.command import SHELL
    from renzheng.central.privacy import orders

    _, database = _store(config)
    with database.writing() as connection:
        person = orders.settle(connection, order, SHELL, reason, utc_now())
        _note(connection, "order_settled", f"{order}: {reason}"[:500], person, changed=True)
    Terminal().print(say("{0} is settled by hand", order))
