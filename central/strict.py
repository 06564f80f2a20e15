"""`--strict [SHARE]`: a command that ends with its own status when too much of the yuan was not taken."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from renzheng.contracts.errors import InputError

USUAL_SHARE = 0.001


class StrictError(InputError):
    """More of the billed yuan was refused than `--strict` allows."""

    exit_status = 4


class StrictCommand(TyperCommand):
    """A command whose `--strict` may stand alone or before a number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments in which `--strict` has its share."""
        return super().parse_args(ctx, with_share(args))


def with_share(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which `--strict` has its share, the usual one where no number follows."""
    out: list[str] = []
    for position, argument in enumerate(arguments):
        out.append(argument)
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        if argument == "--strict" and not _is_number(following):
            out.append(str(USUAL_SHARE))
    return out


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
