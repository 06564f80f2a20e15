"""Draws the floors of the code into ARCHITECTURE.md, from the imports themselves and the contracts on them.

For developers: `make architecture` writes the drawings, a test compares them. Needs the extra `dev`.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- drawn by `make architecture` -->", "<!-- end of the drawing -->"
Floors = Sequence[Sequence[str]]


def floors_of(contract: dict[str, Any]) -> tuple[str, Floors]:
    """Read a layers contract: the package it is about, and its floors from above as full module names."""
    (package,) = contract.get("containers", ["renzheng"])
    floors = [
        [part.strip().removeprefix("renzheng.") for part in floor.split("|")] for floor in contract["layers"]
    ]
    return package, [[f"{package}.{name}" for name in floor] for floor in floors]


def purpose(module: str) -> str:
    """Return the first sentence of a module's docstring."""
    place = ROOT.joinpath(*module.split(".")[1:])
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def uses(graph: grimp.ImportGraph, floors: Floors) -> Iterator[tuple[str, str]]:
    """Yield which part imports which, from the parts of these floors."""
    parts = [part for floor in floors for part in floor]
    whole = {part: {part, *graph.find_descendants(part)} for part in parts}
    for one in parts:
        reached = {name for module in whole[one] for name in graph.find_modules_directly_imported_by(module)}
        for other in parts:
            if other != one and reached & whole[other]:
                yield one, other


def drawing(floors: Floors, edges: Sequence[tuple[str, str]]) -> str:
    """Write one Mermaid drawing: floors from above, an arrow to each part that is used.

    An arrow that follows from two others is left out.
    """
    below = {one: {other for who, other in edges if who == one} for one, _ in edges}
    lines = ["```mermaid", "flowchart TB"]
    for number, floor in enumerate(floors):
        lines.append(f'  subgraph f{number}[" "]')
        lines += [f'    {part.replace(".", "_")}["{part.rsplit(".", 1)[-1]}"]' for part in floor]
        lines.append("  end")
    for one, other in edges:
        if not any(other in below.get(between, ()) for between in below[one] - {other}):
            lines.append(f"  {one.replace('.', '_')} --> {other.replace('.', '_')}")
    return "\n".join([*lines, "```"])


def table(floors: Floors) -> str:
    """Write what each part is for, from above."""
    rows = [f"| `{part.removeprefix('renzheng.')}` | {purpose(part)} |" for floor in floors for part in floor]
    return "\n".join(["| part | what it is for |", "|---|---|", *rows])


def drawn() -> str:
    """Draw every layers contract of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    graph = grimp.build_graph(*settings["root_packages"], cache_dir=None)
    pieces = []
    for contract in settings["contracts"]:
        if contract["type"] == "layers":
            package, floors = floors_of(contract)
            title, _, rule = contract["name"].partition(": ")
            pieces += [f"## {title} (`{package}`)", f"{rule[0].upper()}{rule[1:]}."]
            pieces += [drawing(floors, list(uses(graph, floors))), table(floors)]
    return "\n\n".join(pieces)


def renewed(page: str) -> str:
    """Put the drawings of now in the place of the page's.

    Raises:
        ValueError: the page has no place for them.
    """
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"ARCHITECTURE.md lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{drawn()}\n{END}{after}"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(renewed(page), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
