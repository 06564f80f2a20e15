"""`renzheng case`: take a case away as one file, and check such a file without the service."""

from pathlib import Path
from typing import Annotated

import typer

from renzheng.central.shell import SHELL, open_store
from renzheng.common.terminal import Terminal
from renzheng.common.words import say
from renzheng.contracts.events import utc_now

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")


@app.callback()
def overview() -> None:
    """Take a case away as one file, and check such a file."""


@app.command()
def bundle(
    case: Annotated[str, typer.Argument(help="The case's id.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    for_institution: Annotated[
        bool,
        typer.Option("--for-institution", help="Write what the case's institution may have of it."),
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Write a case with its journal and evidence to one file; the access log holds of whom it is."""
    from renzheng.central.access import access_log
    from renzheng.central.access.access_log import Access
    from renzheng.central.cases import reading
    from renzheng.central.cases.bundle import write, write_for_institution
    from renzheng.central.cases.errors import NotFoundError
    from renzheng.central.site.succession import read_former
    from renzheng.common.files import write_whole
    from renzheng.contracts import keys

    settings, database = open_store(config)
    key = keys.load_private_key(settings.key_file.read_bytes())
    by = [key, *read_former(settings.key_file).public.values()]
    with database.reading() as connection:
        parts = reading.whole(connection, case)
        of, _, kept, evidence = parts
        reader = of.institution_id if for_institution else None
        proofs = reading.proofs_of(connection, evidence, reader)
        elsewhere = reading.names_elsewhere(connection, of.institution_id)
    if for_institution and of.issued_at is None:
        raise NotFoundError("The institution is told of a case when it is issued.")
    persons = [doubt.person_id for doubt in parts[1] if doubt.person_id]
    with database.writing() as connection:
        told = Access(SHELL, (), "-", "case_bundle", f"case {case} to {out}", "export", persons=persons)
        access_log.append(connection, told, utc_now())
    made = (
        write_for_institution(of, kept, evidence, by, proofs, elsewhere)
        if for_institution
        else write(*parts, by, proofs)
    )
    write_whole(out, made)
    Terminal().print(say("{0} holds the case.", out))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A file that `renzheng case bundle` has written.")],
    key: Annotated[
        list[Path] | None,
        typer.Option(help="Central's public key (PEM), as you know it; may be given again."),
    ] = None,
) -> None:
    """Check a case's file: every hash and signature, every step done again. It needs no service.

    Without `--key` the keys in the file are believed: then it shows that nothing was changed since, not by
    whom it was written.
    """
    from renzheng.central.cases.bundle import verify as check
    from renzheng.contracts import keys

    found = check(file, [keys.load_public_key(path.read_bytes()) for path in key or ()])
    terminal = Terminal()
    terminal.print(
        say(
            "{0} steps done again, {1} doubts, {2} of them with frozen evidence: nothing was changed.",
            found.entries, len(found.doubts), found.evidence,
        )
    )  # fmt: skip
    terminal.print(
        say(
            "{0} entries of devices: {1} with the device's signature, {2} under a checkpoint of central's; "
            "{3} in batches of other institutions' devices, which this file leaves out.",
            found.log.entries, found.log.signed, found.log.covered, found.log.left_out,
        )
    )  # fmt: skip
    if found.for_institution:
        terminal.print(
            say(
                "This is what the institution may have of the case: {0} entries are there by their hash "
                "and signature only, and the evidence is without rows of others.",
                found.withheld,
            )
        )
    terminal.print(
        say(
            "{0} lines judged again come to the same verdict; {1} rest on more than was frozen.",
            found.judged, found.not_judged,
        )
    )  # fmt: skip
    if not found.pinned:
        terminal.print(say("The keys are those in the file; give yours with --key to know who has signed."))
