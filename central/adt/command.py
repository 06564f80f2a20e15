"""`renzheng central adt`: stays and leaves from files, and what became of what hospitals told."""

from pathlib import Path
from typing import Annotated

import typer

from renzheng.central.claims.formats import Format
from renzheng.common.terminal import Terminal, table
from renzheng.common.words import say
from renzheng.contracts.events import utc_now

app = typer.Typer(no_args_is_help=True, help="Stays, bed moves and leaves.")
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")


@app.callback()
def overview() -> None:
    """Stays, bed moves and leaves, from files; over the wire see [adt] in the settings."""


@app.command()
def read(
    path: Annotated[Path, typer.Argument(help="A file.")],
    file_format: Annotated[Format, typer.Option("--format", help="hl7, nhsa or fhir.")] = Format.HL7,
    transaction: Annotated[str | None, typer.Option(help="NHSA: 2401, 2402 or 2403.")] = None,
    config: Config = CONFIG,
) -> None:
    """Take stays and leaves from a file into the store; a leave counts as recorded now."""
    from renzheng.central.adt.receiving import Receiver
    from renzheng.central.claims.source import Options
    from renzheng.central.settings import read_settings
    from renzheng.central.store.database import Database

    settings = read_settings(config)
    database = Database(settings.database)
    database.migrate()
    told = settings.adt
    options = Options(told.mapping_file, told.institution, transaction, None, settings.timezone)
    counts = Receiver(database, options, utc_now).read_file(path, file_format)
    database.close()
    for outcome, count in sorted(counts.items()):
        Terminal().print(f"{count:>8,}  {outcome.value}")


@app.command()
def caller(
    name: Annotated[str, typer.Option(help="The system's name, such as his-h1.")],
    institution: Annotated[list[str], typer.Option(help="For whom it speaks; may be given again.")],
    out: Annotated[Path, typer.Option(help="Folder for its key and certificate.")],
    config: Config = CONFIG,
) -> None:
    """Make the certificate with which a hospital's system delivers, and nothing else."""
    from renzheng.central.settings import read_settings
    from renzheng.central.site.authority import CALLER_PREFIX, Authority
    from renzheng.common.files import write_whole

    settings = read_settings(config)
    pair = Authority.load(settings.site_dir).issue_caller(name, utc_now())
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / f"{name}.key", pair.key)
    (out / f"{name}.pem").write_bytes(pair.certificate)
    console = Terminal()
    console.print(f"{out / name}.key, {out / name}.pem")
    console.print(say("central.toml, then start central again; without this line it may speak for nobody:"))
    listed = ", ".join(f'"{one}"' for one in institution)
    told = f'[adt.callers]\n"{CALLER_PREFIX}{name}" = [{listed}]'
    console.print(told)


@app.command()
def outcomes(
    config: Config = CONFIG,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """List what became of the latest messages; those not taken are kept as they came."""
    from zoneinfo import ZoneInfo

    from renzheng.central.adt.reading import read_outcomes
    from renzheng.central.settings import read_settings
    from renzheng.central.store.database import Database
    from renzheng.central.store.times import from_us

    settings = read_settings(config)
    database = Database(settings.database)
    database.migrate()
    zone = ZoneInfo(settings.timezone)
    shown = table("received", "source", "message", "kind", "outcome", "detail")
    with database.reading() as connection:
        for row in read_outcomes(connection, limit=limit):
            at = f"{from_us(row['received_at']).astimezone(zone):%m-%d %H:%M:%S}"
            texts = (row["source"], row["message_id"] or "—", row["trigger"], row["outcome"], row["detail"])
            shown.add_row(at, *texts)
    database.close()
    Terminal().print(shown)
