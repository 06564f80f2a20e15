"""Load a rule pack: rules, knowledge tables and regions, with every problem and its place."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import ValidationError

from renzheng.rules.dialect import offences
from renzheng.rules.errors import RulePackError
from renzheng.rules.header import DatedValue, Header, RegionFile, Status

HERE = Path(__file__).parent
NATIONAL = HERE / "national"
LINE_RULES = ("line-haemodialysis", "line-bed-day")


@dataclass(frozen=True)
class Rule:
    """One rule: its header, its SQL, and where both stand."""

    header: Header
    sql: str
    path: Path
    text: str

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the file, in hex: two findings with the same hash come from the very same rule."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def id(self) -> str:
        """The permanent id."""
        return self.header.id


@dataclass(frozen=True)
class Pack:
    """Rules by id, regions by code, knowledge tables by name."""

    rules: Mapping[str, Rule]
    regions: Mapping[str, RegionFile]
    knowledge: Mapping[str, tuple[Mapping[str, str], ...]]

    def overrides(self, region: str | None, rule: str) -> Mapping[str, tuple[DatedValue, ...]]:
        """Return a region's own values for one rule; none when the region has no file."""
        known = self.regions.get(region) if region else None
        return known.parameters.get(rule, {}) if known else {}

    @property
    def active(self) -> list[Rule]:
        """The rules that run and find something, in the order of their ids."""
        return [
            rule
            for _, rule in sorted(self.rules.items())
            if rule.header.produces == "findings" and rule.header.status is not Status.draft
        ]


def load_pack(path: Path | None = None) -> Pack:
    """Load the national pack, or another one from `path`.

    `path` is a folder like this one (national/, regions/, knowledge/), a folder of rule files, or one file.
    The two rules of line verdicts come from the national pack where the other one has none.

    Raises:
        RulePackError: with every problem of every file.
    """
    problems: list[str] = []
    rules = _load_rules(_rule_files(path), problems)
    if path is not None:
        for rule in _load_rules([NATIONAL / f"{name}.sql" for name in LINE_RULES], problems).values():
            rules.setdefault(rule.id, rule)
    beside = path if path is not None and path.is_dir() else HERE
    regions = _load_regions(_folder(beside, "regions"), rules, problems)
    knowledge = _load_knowledge(_folder(beside, "knowledge"), problems)
    if problems:
        raise RulePackError(
            f"{len(problems)} problem(s) in the rule pack:\n" + "\n".join(f"  - {one}" for one in problems),
            why="A rule that is not understood must not find anything.",
            do="Mend the files named above; `renzheng rules check` shows the same list.",
            problems=problems,
        )
    return Pack(rules, regions, knowledge)


def read_rule(path: Path) -> tuple[Header, str, str]:
    """Read one rule file: header, SQL, whole text.

    Raises:
        ValueError: no header, unknown keys, a wrong value; the message has a line for each.
    """
    text = path.read_text(encoding="utf-8")
    if not text.startswith("/*") or "*/" not in text:
        raise ValueError("there is no header: the file must begin with a comment /* ... */ that holds YAML")
    head, sql = text.removeprefix("/*").split("*/", 1)
    try:
        return Header.model_validate(yaml.safe_load(head)), sql.strip(), text
    except yaml.YAMLError as error:
        raise ValueError(f"the header is not YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc'])) or 'header'}: {one['msg']}" for one in error.errors()]
        raise ValueError("; ".join(lines)) from error


def _rule_files(path: Path | None) -> list[Path]:
    if path is None:
        return sorted(NATIONAL.glob("*.sql"))
    if path.is_file():
        return [path]
    folder = path / "national" if (path / "national").is_dir() else path
    return sorted(folder.glob("*.sql"))


def _folder(beside: Path, name: str) -> Path:
    return beside / name if (beside / name).is_dir() else HERE / name


def _load_rules(paths: list[Path], problems: list[str]) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for path in paths:
        try:
            header, sql, text = read_rule(path)
        except (ValueError, OSError) as error:
            problems.append(f"{path.name}: {error}")
            continue
        problems.extend(f"{path.name}: {problem}" for problem in lint(path, header, sql))
        if header.id in rules:
            problems.append(f"{path.name}: the id {header.id} is taken by {rules[header.id].path.name}")
        rules[header.id] = Rule(header, sql, path, text)
    return rules


def lint(path: Path, header: Header, sql: str) -> Iterator[str]:
    """Name what is wrong with a rule beyond its header's form."""
    if path.stem != header.id:
        yield f"the file is named {path.stem}, the rule {header.id}: they must agree"
    yield from offences(sql)
    for name in header.parameters:
        if header.produces == "findings" and f"${name}" not in sql:
            yield f"the parameter {name} is not used in the SQL"


def _load_regions(folder: Path, rules: Mapping[str, Rule], problems: list[str]) -> dict[str, RegionFile]:
    regions: dict[str, RegionFile] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            region = RegionFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, ValidationError) as error:
            problems.append(f"{path.name}: {error}")
            continue
        for rule, values in region.parameters.items():
            known = rules[rule].header.parameters if rule in rules else {}
            problems.extend(
                f"{path.name}: there is no parameter {rule}.{name}" for name in values if name not in known
            )
        regions[region.region] = region
    return regions


def _load_knowledge(folder: Path, problems: list[str]) -> dict[str, tuple[Mapping[str, str], ...]]:
    tables: dict[str, tuple[Mapping[str, str], ...]] = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = tuple(csv.DictReader(file))
        problems.extend(
            f"{path.name}, line {number}: needs a reference"
            for number, row in enumerate(rows, start=2)
            if not row.get("reference")
        )
        tables[path.stem] = rows
    return tables
