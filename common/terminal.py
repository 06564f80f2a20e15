"""Printing on the terminal: what comes from files, devices or people is shown as it is, never as markup."""

from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import TextColumn
from rich.table import Table

from renzheng.common.words import in_language


class Terminal(Console):
    """A console that prints text as it is given: no markup, no colours by guess, long lines left whole.

    A command that a message names can thus be copied from a narrow window too; tables still fit themselves.

    Args:
        stderr: print on the error stream instead of the output.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects as `rich` does; where all are texts, without breaking their lines."""
        if all(isinstance(one, str) for one in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)


def plain_column(text_format: str) -> TextColumn:
    """Make a text column of a progress bar that takes nothing as markup."""
    return TextColumn(text_format, markup=False)


def table(*headings: str, title: str = "", numbers: int = 0) -> Table:
    """Make a table of the command line, with its headings in the user's language.

    Cells are shown as they are: codes and ids stay what they are in files and JSON.

    Args:
        headings: English, as literals; the catalogue has them.
        title: finished, in the user's language.
        numbers: so many columns, the last ones, stand to the right.
    """
    made = Table(title=title or None, box=SIMPLE)
    left = len(headings) - numbers
    for place, heading in enumerate(headings):
        made.add_column(in_language(heading), justify="left" if place < left else "right")
    return made
