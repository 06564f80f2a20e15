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
from renzheng.contracts import keys
from renzheng.contracts.errors import InputError

app = typer.Typer(no_args_is_help=True, help="验证已公布的抽查 · Verify published rounds.")


@app.callback()
def overview() -> None:
    """验证已公布的抽查 · Verify published rounds of spot checks."""


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="ROUND.json, as the bureau published it.")],
    kept: Annotated[
        Path | None,
        typer.Option(help="事先保存的承诺 · The commitment (draw-N.json) kept from before the draw."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Central's public key (PEM).")] = None,
    public_value: Annotated[str | None, typer.Option(help="公开值 · The value as you know it.")] = None,
) -> None:
    """验证 · Compute the whole draw again from the file. Exit status: 0 it holds, 1 it does not."""
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
        ("轮次 round", f"{commitment['round_id']}, number {commitment['number']}"),
        ("承诺 commitment", f"{document['commitment_sha256']}"),
        ("抽中 sample", f"{found.sample_size} of {_candidates(document)}, as the commitment demands"),
        ("持有设备 held by", _held_by(document)),
        ("公开值 public value", f"{found.public_value}"),
        ("查对 look it up", f"{found.description}"),
        ("文件 file", hashlib.sha256(path.read_bytes()).hexdigest()),
    ):
        console.print(f"{label}  {text}")
    if kept is None:
        console.print("没有保存的承诺可比 · no kept commitment was given to compare with")
    if public is None:
        console.print("未核对签名 · the signature was not checked: no key was given")
    console.print("成立 · holds")


def _candidates(document: dict[str, "object"]) -> int:
    frame = document["frame"]
    assert isinstance(frame, dict)
    return sum(len(unit["candidates"]) for unit in frame["units"])


def _held_by(document: dict[str, Any]) -> str:
    if "holders" not in document:
        return "not told (version 1)"
    holders, most = document["holders"], document["frame"]["devices"]
    return f"{', '.join(holders) or '—'}; {len(holders)} of at most {most} device(s)"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
