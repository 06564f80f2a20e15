"""Write the reference of a rule pack from the rules themselves."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from renzheng.rules.header import Example, Header, Neighbour
from renzheng.rules.pack import Pack, Rule

HEAD = """# 规则 · Rules

<!-- Written by `renzheng rules docs`; change the rule files, not this page. -->

Each rule is one file under `rules/national/`: SQL with a YAML header. What a region sets differently stands
in `rules/regions/`, what is known about items and caps in `rules/knowledge/`. How a rule is written:
[first-rule.md](first-rule.md); what it may read: [rules-tables.md](rules-tables.md).
"""

TABLES_HEAD = """# 规则可读的表 · Tables that a rule may read

<!-- Written by `renzheng rules docs`; change the code, not this page. -->

`renzheng rules tables` prints the same, `--json` for programs.
How a rule is written: [first-rule.md](first-rule.md).
"""
GROUPS = {
    "input": "Input tables",
    "step": "Steps of the audit, in their order",
    "beside": "Beside the steps",
    "knowledge": "Knowledge",
}


def write_docs(pack: Pack) -> str:
    """Write one page about all rules of a pack, in the order of their ids."""
    rules = [rule for _, rule in sorted(pack.rules.items())]
    index = [
        f"| [{rule.id}](#{rule.id}) | {head.title.zh} · {head.title.en} | {head.status} | "
        f"{head.level} | {'lines' if head.produces == 'line_verdicts' else head.verdict} |"
        for rule in rules
        for head in [rule.header]
    ]
    table = ["| rule | what | status | level | says |", "|---|---|---|---|---|", *index]
    sections = ["\n".join(_section(rule)) for rule in rules]
    return "\n".join([HEAD, *table, ""]) + "\n" + "\n\n".join(sections) + "\n"


def _section(rule: Rule) -> Iterator[str]:
    header = rule.header
    yield f"## {rule.id}\n"
    yield f"**{header.title.zh}** · {header.title.en}. Version {header.version}.\n"
    yield "Basis: " + "; ".join(header.basis) + ".\n"
    yield f"> {header.explanation.zh}\n>\n> {header.explanation.en}\n"
    if header.parameters:
        yield from _parameters(header)
    yield "Known false positives:\n"
    for known in header.known_false_positives:
        yield f"- {known.zh} · {known.en}"
    yield "\nExamples:\n"
    for example in header.examples:
        yield from _example(example)


def _parameters(header: Header) -> Iterator[str]:
    yield "| parameter | meaning | unit | value | from | reference |\n|---|---|---|---|---|---|"
    for name, parameter in header.parameters.items():
        for value in parameter.values:
            yield (
                f"| `{name}` | {parameter.meaning.zh} · {parameter.meaning.en} | {parameter.unit} | "
                f"{value.value} | {value.since} | {value.reference} |"
            )
    yield ""


def _example(example: Example) -> Iterator[str]:
    if example.verdicts:
        answer = ", ".join(f"{line}: `{verdict}`" for line, verdict in example.verdicts.items())
    else:
        answer = f"{len(example.flags)} finding(s)"
    yield f"- {example.title.zh} · {example.title.en} → {answer}"
    yield from _rows(example)
    if example.neighbour is not None:
        beside = example.neighbour
        clean = ", ".join(f"{line}: `{verdict}`" for line, verdict in beside.verdicts.items())
        yield f"- its neighbour: {beside.title.zh} · {beside.title.en} → {clean or 'nothing'}"
        yield from _rows(beside)


def _rows(shown: Example | Neighbour) -> Iterator[str]:
    yield "\n  ```yaml"
    for table, rows in shown.tables.items():
        if not rows:
            yield f"  {table}: none"
        for row in rows:
            yield f"  {table}: {json.dumps(row, ensure_ascii=False, default=str)}"
    yield "  ```\n"


class _Column(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def note(self) -> str: ...


class _Table(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def columns(self) -> Sequence[_Column]: ...
    @property
    def example(self) -> str: ...


def write_tables_page(tables: Iterable[_Table]) -> str:
    """Write one page about every table that a rule may read."""
    found = list(tables)
    lines = [TABLES_HEAD]
    for group, title in GROUPS.items():
        lines.append(f"## {title}\n")
        for table in (one for one in found if one.group == group):
            lines += [f"### {table.name}\n", f"{table.purpose}\n", "| column | holds | note |\n|---|---|---|"]
            lines += [f"| `{c.name}` | {c.kind} | {c.note.replace('|', '·')} |" for c in table.columns]
            lines += ["", f"```sql\n{table.example}\n```"] if table.example else []
            lines.append("")
    return "\n".join(lines)
