"""Draws who stands beside whom: institutions by reason, witnesses by patient, machines by hour."""

from collections.abc import Callable, Mapping
from typing import Literal

from renzheng.central.pictures.drawing import NEUTRAL, Figure
from renzheng.central.pictures.grid import Grid, grid
from renzheng.central.texts import Texts

MOST_ROWS = 15
MOST_COLUMNS = 10
HOURS = [(str(hour), f"{hour}") for hour in range(24)]
Money = Callable[[int], str]


def reasons(t: Texts, cells: Mapping[tuple[str, str], int], names: Mapping[str, str], money: Money) -> Figure:
    """Draw institutions by reason, in yuan; the largest rows and columns, the rest is in the list.

    Args:
        t: the language.
        cells: fen by institution and reason.
        names: of the institutions.
        money: writes fen.
    """
    rows = [(one, f"{names[one]} {one}" if names.get(one) else one) for one in _largest(cells, 0, MOST_ROWS)]
    columns = [(one, t.code("reason", one)) for one in _largest(cells, 1, MOST_COLUMNS)]
    return grid(Grid(t("picture.matrix"), t("institution"), rows, columns, cells), money)


def witnesses(t: Texts, of: str, cells: Mapping[tuple[str, str], int]) -> Figure:
    """Draw witnesses by patient: how often each vouched for whom; those with the most.

    One witness who vouches for one patient again and again stands out as one dark square.

    Args:
        t: the language.
        of: the month, or the days, that are shown.
        cells: sign-ins by witness and person.
    """
    rows = [(one, one) for one in _largest(cells, 0, MOST_ROWS)]
    columns = [(one, one) for one in _largest(cells, 1, MOST_COLUMNS)]
    asked = Grid(t("picture.witnesses", of=of), t("picture.witness"), rows, columns, cells, shades=NEUTRAL)
    return grid(asked, lambda number: f"{number:,}")


def machines(t: Texts, of: str, cells: Mapping[tuple[str, str], int]) -> Figure:
    """Draw dialysis machines by hour of the day: on how many days each ran then; the busiest.

    Args:
        t: the language.
        of: the month, or the days, that are shown.
        cells: days by machine and hour (`"0"` to `"23"`).
    """
    rows = [(one, one) for one in sorted(_largest(cells, 0, MOST_ROWS))]
    asked = Grid(t("picture.machines", of=of), t("picture.machine"), rows, HOURS, cells, 32, 2, NEUTRAL)
    return grid(asked, str)


def _largest(cells: Mapping[tuple[str, str], int], part: Literal[0, 1], most: int) -> list[str]:
    sums: dict[str, int] = {}
    for key, number in cells.items():
        sums[key[part]] = sums.get(key[part], 0) + number
    return sorted(sums, key=lambda one: (-sums[one], one))[:most]
