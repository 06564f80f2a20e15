"""``renzheng edge ward``: watch the cameras, try one, print the notice for the door."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=False, help="Ward cameras: who of today's inpatients was seen.")

Config = Annotated[Path, typer.Option("--config", help="The agent's settings (TOML).")]
