"""``renzheng privacy``: withdrawals, retention, rights and filing, from central's shell."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renzheng.central.shell import SHELL, open_store
from renzheng.common.terminal import Terminal, table
from renzheng.common.words import language, say
from renzheng.contracts.events import utc_now

if TYPE_CHECKING:
    import sqlalchemy as sa

    from renzheng.central.settings import Settings
    from renzheng.rules.pack import Pack

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")
Person = Annotated[str, typer.Argument(help="The person's id, as in the claims.")]


@app.callback()
def overview() -> None:
    """Keep to the law on persons' data: withdrawals, retention, rights, filing."""


def _note(connection: "sa.Connection", act: str, what: str, person: str, *, changed: bool = False) -> None:
    """Write into the access log what is read or done about a person from a shell."""
    from renzheng.central.access import access_log
    from renzheng.central.access.access_log import Access

    outcome = "changed" if changed else "shown"
    told = Access(SHELL, (), "-", act, what, "data_protection", outcome, (person,))
    access_log.append(connection, told, utc_now())


@app.command()
def withdraw(person: Person, config: Config = CONFIG) -> None:
    """Take a person's consent back everywhere: every device destroys key, references and crops."""
    from renzheng.central.privacy import orders, withdrawals

    _, database = open_store(config)
    with database.writing() as connection:
        withdrawal = withdrawals.asked_here(connection, person, "shell", SHELL, utc_now())
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
    from renzheng.central.privacy import withdrawals
    from renzheng.central.store.times import from_us

    _, database = open_store(config)
    with database.reading() as connection:
        total, rows = withdrawals.listed(connection, limit)
    shown = table("withdrawal", "time", "told", "outstanding")
    for row in rows:
        at = f"{from_us(row['withdrawn_at']):%Y-%m-%d %H:%M}Z"
        shown.add_row(row["withdrawal_id"], at, str(row["told"]), " ".join(row["outstanding"]) or "-")
    Terminal().print(shown)
    Terminal().print(say("{0} withdrawals in all", total))


@app.command()
def retention(config: Config = CONFIG) -> None:
    """Show what is kept, for how long and until when; by what it is deleted, and who decides on the days."""
    from renzheng.central.privacy import retention as keeping

    settings, database = open_store(config)
    with database.reading() as connection:
        rows = keeping.overview(connection, settings)
    shown = table("kept", "days", "deleted by", "decided by", "rows", "oldest until")
    for row in rows:
        item, until = row["item"], row["until"]
        days = "-" if item.days is None else f"{item.days:g}"
        count = "-" if row["count"] is None else str(row["count"])
        last = "-" if until is None else f"{until:%Y-%m-%d}"
        shown.add_row(item.key, days, item.by, item.changed_by, count, last)
    Terminal().print(shown)


@app.command()
def settle(
    order: Annotated[str, typer.Argument(help="The order, as the page of the withdrawal names it.")],
    reason: Annotated[str, typer.Option(help="What was seen instead: a disk that was destroyed, and where.")],
    config: Config = CONFIG,
) -> None:
    """Settle by hand an order that a device can never answer, such as one that was stolen or scrapped."""
    from renzheng.central.privacy import orders

    _, database = open_store(config)
    with database.writing() as connection:
        person = orders.settle(connection, order, SHELL, reason, utc_now())
        _note(connection, "order_settled", f"{order}: {reason}"[:500], person, changed=True)
    Terminal().print(say("{0} is settled by hand", order))


def _pack(settings: "Settings") -> "Pack":
    from renzheng.rules.pack import load_pack

    return load_pack(settings.audit.rules_dir).for_region(settings.audit.region)


Out = Annotated[Path, typer.Option("--out", help="A new file; readable by its owner alone.")]


Request = Annotated[
    str, typer.Option("--request", help="The request that this answers, as /privacy/requests numbers it.")
]


@app.command()
def export(
    person: Person, out: Out = Path("person-copy.html"), config: Config = CONFIG, request: Request = ""
) -> None:
    """Write everything that central holds of a person as one page in Chinese, for that person to read."""
    from renzheng.central.access import spelling
    from renzheng.central.privacy import requests, rights
    from renzheng.common.files import write_new

    settings, database = open_store(config)
    now = utc_now()
    with database.writing() as connection:
        person = spelling.find(connection, person)
        asked = requests.record_or_find(connection, settings, ("copy", person, SHELL), now, request)
        _note(connection, "person_exported", str(out), person)
        page = rights.copy_of(connection, person, _pack(settings), settings, now)
        write_new(out, page.encode())
        requests.close(connection, asked, "answered", "", now)
    Terminal().print(say("the copy of {0} is in {1}", person, out))


@app.command()
def delete(person: Person, config: Config = CONFIG, request: Request = "") -> None:
    """Delete what may go of a person; what must be kept is named with the reason and until when."""
    from renzheng.central.access import spelling
    from renzheng.central.privacy import answering, requests
    from renzheng.central.texts import texts

    settings, database = open_store(config)
    now, t = utc_now(), texts("zh" if language(os.environ) == "zh" else "en")
    with database.writing() as connection:
        person = spelling.find(connection, person)
        asked = requests.record_or_find(connection, settings, ("delete", person, SHELL), now, request)
        done = answering.delete(connection, settings, asked, ("shell", SHELL, t), now)
        _note(connection, "person_deleted", done.withdrawal_id, person, changed=True)
    console = Terminal()
    console.print(say("withdrawal {0}; names erased from {1} stays", done.withdrawal_id, done.names))
    for one in done.kept:
        what = t(f"retention.item.{one.what}")
        if one.until is None:
            console.print(say("not deleted: {0} ({1}), until the case is decided", what, one.rows))
        else:
            console.print(say("not deleted: {0} ({1}), kept by law until {2}", what, one.rows, one.until))


@app.command("who-looked")
def who_looked(person: Person, config: Config = CONFIG) -> None:
    """Say who has read or changed a person's data; the request itself is recorded."""
    from renzheng.central.access import spelling
    from renzheng.central.access_log_command import who_looked as tell
    from renzheng.central.privacy import requests

    settings, database = open_store(config)
    now = utc_now()
    with database.writing() as connection:
        person = spelling.find(connection, person)
        asked = requests.record(connection, settings, ("who_looked", person, SHELL), now)
    tell(person, config, 200)
    with database.writing() as connection:
        requests.close(connection, asked, "answered", "", utc_now())


@app.command()
def explain(
    line: Annotated[str, typer.Argument(help="The line's number, as billed.")],
    institution: Annotated[str, typer.Option(help="Whose line, where several use the number.")] = "",
    out: Out = Path("explanation.html"),
    config: Config = CONFIG,
    request: Request = "",
) -> None:
    """Explain the automated verdict of a line to the person it is about, on one page in Chinese."""
    from renzheng.central.privacy import requests, rights
    from renzheng.common.files import write_new

    settings, database = open_store(config)
    now = utc_now()
    with database.writing() as connection:
        page, row = rights.explanation_of(connection, line, institution, _pack(settings))
        asked = requests.record_or_find(
            connection, settings, ("explain", row["person_id"], SHELL), now, request
        )
        _note(connection, "line_explained", f"{line} {institution}".strip(), row["person_id"])
        write_new(out, page.encode())
        requests.close(connection, asked, "answered", "", now)
    Terminal().print(say("the explanation of line {0} is in {1}", line, out))


@app.command("requests")
def count_requests(config: Config = CONFIG) -> None:
    """Count the requests of persons: open, overdue, answered in time and late, refused. Nobody is named."""
    from renzheng.central.privacy import requests

    _, database = open_store(config)
    with database.reading() as connection:
        count = requests.counted(connection, utc_now())
    Terminal().print(
        say(
            "{0} open, {1} overdue, {2} answered in time, {3} late, {4} refused",
            count["open"],
            count["overdue"],
            count["in_time"],
            count["late"],
            count["refused"],
        )
    )


@app.command()
def filing(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the papers; those in it are compared with.")
    ] = Path("privacy-papers"),
    config: Config = CONFIG,
) -> None:
    """Write filing table, impact assessment, record of processing and audit folder from what is in force."""
    from renzheng.central.privacy import filing as papers
    from renzheng.central.privacy.shares import PersonShares
    from renzheng.contracts import keys

    settings, database = open_store(config)
    key = keys.load_private_key(settings.key_file.read_bytes())
    with database.reading() as connection:
        changed = papers.write_papers(connection, settings, key, out, utc_now())
        found = papers.stored(connection, PersonShares(settings.shares_dir))
    console = Terminal()
    console.print(say("{0} people have a stored face, each counted once over all devices", found.people))
    if found.level != "none":
        console.print(say("filing is due at {0} people, within 30 working days", papers.FILE_AT))
    console.print(say("{0} lines have changed since the last papers in {1}", len(changed), out))
    for line in changed:
        console.print(line, markup=False)
