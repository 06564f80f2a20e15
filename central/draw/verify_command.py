"""`renzheng draw verify`: an outsider's check of a published round, with nothing but its file."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from renzheng.central.draw.documents import Commitment, PublishedRound, digest, read_document
from renzheng.central.draw.verifying import Fails, verify_round
from renzheng.central.errors import DrawError
from renzheng.common.terminal import Terminal
from renzheng.common.words import say
from renzheng.contracts import keys
from renzheng.contracts.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Verify published rounds.")


@app.callback()
def overview() -> None:
    """Verify published rounds of spot checks."""


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="ROUND.json, as the bureau published it.")],
    kept: Annotated[
        Path | None,
        typer.Option(help="The commitment (draw-N.json) kept from before the draw."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Central's public key (PEM).")] = None,
    public_value: Annotated[str | None, typer.Option(help="The value as you know it.")] = None,
) -> None:
    """Compute the whole draw again from the file. Exit status: 0 it holds, 1 it does not."""
    document = read_document(_read(path), PublishedRound)
    kept_sha256 = None
    if kept is not None:
        told = json.loads(_read(kept))
        commitment = told.get("commitment", told) if isinstance(told, dict) else told
        kept_sha256 = digest(read_document(json.dumps(commitment).encode(), Commitment))
    public = keys.load_public_key(_read(key)) if key is not None else None
    found = verify_round(document, kept_sha256=kept_sha256, key=public, public_value=public_value)
    if isinstance(found, Fails):
        raise DrawError(
            f"{path.name} does not hold: {'; '.join(fault.explanation for fault in found.faults)}.",
            why="The sample is not the one committed to, or the file is not the published one.",
            do="Ask the bureau for the file and the commitment again, and keep both.",
            faults=[fault.value for fault in found.faults],
        )
    commitment = document["commitment"]
    console = Terminal()
    for label, text in (
        (say("round"), say("{0}, number {1}", commitment["round_id"], commitment["number"])),
        (say("commitment"), f"{document['commitment_sha256']}"),
        (
            say("sample"),
            say("{0} of {1}, as the commitment demands", found.sample_size, _candidates(document)),
        ),
        (say("held by"), _held_by(document)),
        (say("public value"), f"{found.public_value}"),
        (say("look it up"), f"{found.description}"),
        (say("file"), hashlib.sha256(path.read_bytes()).hexdigest()),
    ):
        console.print(f"{label}  {text}")
    if kept is None:
        console.print(say("no kept commitment was given to compare with"))
    if public is None:
        console.print(say("the signature was not checked: no key was given"))
    console.print(say("holds"))


def _candidates(document: dict[str, "object"]) -> int:
    frame = document["frame"]
    assert isinstance(frame, dict)
    return sum(len(unit["candidates"]) for unit in frame["units"])


def _held_by(document: dict[str, Any]) -> str:
    if "holders" not in document:
        return say("not told (version 1)")
    holders, most = document["holders"], document["frame"]["devices"]
    return say("{0}; {1} of at most {2} device(s)", ", ".join(holders) or "—", len(holders), most)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
