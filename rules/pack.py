"""Load a rule pack: rules, knowledge tables and regions, with every problem and its place."""

import datetime as dt
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

from joserfc.jwk import OKPKey
from pydantic import BaseModel, ValidationError

from renzheng.contracts.ids import KeyId
from renzheng.rules import casework, known, signing
from renzheng.rules.dialect import offences
from renzheng.rules.errors import RulePackError, UnsignedPackError
from renzheng.rules.header import Choice, DatedValue, Header, RegionFile, Status
from renzheng.rules.reading import MOST_BYTES, as_text, read_csv, read_yaml

HERE = Path(__file__).parent
NATIONAL = HERE / "national"
LINE_RULES = ("line-haemodialysis", "line-bed-day", "line-service-point")
SIGNATURE = "pack.jws"
"""The signature of a whole pack, in its folder; that of a region is `regions/CODE.jws`."""

Model = TypeVar("Model", bound=BaseModel)
Known = Mapping[str, tuple[Mapping[str, str], ...]]


@dataclass(frozen=True)
class Rule:
    """One rule: its header, its SQL, and where both stand."""

    header: Header
    sql: str
    path: Path
    text: str

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the text, in hex: two findings with the same hash come from the very same rule."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def id(self) -> str:
        """The permanent id."""
        return self.header.id


@dataclass(frozen=True)
class Region:
    """What one region adds to the national pack and sets in it.

    Args:
        file: its parameters and choices.
        rules: its own rules by id.
        knowledge: its own knowledge tables by name.
        files: every file of it by its name under `regions/`, as it was read.
        signature: the envelope beside it, or None.
    """

    file: RegionFile
    rules: Mapping[str, Rule]
    knowledge: Known
    files: Mapping[str, bytes] = field(repr=False)
    signature: bytes | None = field(repr=False, default=None)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all of its files, in hex."""
        return signing.content_hash(self.files)

    def require_signature(self, trusted: Sequence[OKPKey]) -> KeyId:
        """Return who signed it.

        Raises:
            UnsignedPackError: nobody whom the bureau names.
        """
        return _require_signature(f"region {self.file.region}", self.files, self.signature, trusted)


@dataclass(frozen=True)
class Pack:
    """Rules by id, regions by code, knowledge tables by name.

    Args:
        rules: the rules that hold; `for_region` adds the region's own.
        regions: every region with a file.
        knowledge: rows by table; `for_region` leaves those that hold there.
        files: the files of rules and knowledge as they were read, by their names in the pack.
        signature: the envelope in the pack's folder, or None.
    """

    rules: Mapping[str, Rule]
    regions: Mapping[str, Region]
    knowledge: Known
    files: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    signature: bytes | None = field(repr=False, default=None)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over the files of rules and knowledge, in hex; regions have their own."""
        return signing.content_hash(self.files)

    def overrides(self, region: str | None, rule: str) -> Mapping[str, tuple[DatedValue, ...]]:
        """Return a region's own values for one rule; none when the region has no file."""
        mine = self.regions.get(region) if region else None
        return mine.file.parameters.get(rule, {}) if mine else {}

    def choice(self, region: str | None, rule: str) -> Choice:
        """Return what a region decided about one rule; nothing when the region has no file."""
        mine = self.regions.get(region) if region else None
        return mine.file.rules.get(rule, Choice()) if mine else Choice()

    def casework(self, region: str | None, day: dt.date) -> dict[str, Decimal]:
        """Return the numbers of case work on a day, a region's own on top of the national ones."""
        mine = self.regions.get(region) if region else None
        return casework.resolve(mine.file.cases if mine else {}, day)

    def working_days(self, region: str | None) -> Mapping[dt.date, bool]:
        """Return the days of which a region says itself whether they are working days."""
        mine = self.regions.get(region) if region else None
        return mine.file.working_days if mine else {}

    def for_region(self, region: str | None) -> "Pack":
        """Return the pack as it holds in a region: with its own rules, and its knowledge.

        Raises:
            RulePackError: the region has no file.
        """
        if region is not None and region not in self.regions:
            listed = ", ".join(sorted(self.regions)) or "none"
            raise RulePackError(
                f"There is no file for region {region}; there are files for: {listed}.",
                why="Without one the national values would hold unnoticed.",
                do=f"Add regions/{region}.yaml to the pack, or leave the region out.",
            )
        mine = self.regions[region] if region is not None else None
        own = mine.knowledge if mine else {}
        return replace(
            self,
            rules={**self.rules, **(mine.rules if mine else {})},
            knowledge={
                name: known.resolved(name, self.knowledge.get(name, ()), region, own.get(name, ()))
                for name in {**self.knowledge, **own}
            },
        )

    def with_only(self, ids: Collection[str]) -> "Pack":
        """Return the pack with these rules of findings, and those of line verdicts that every run needs."""
        kept = {
            name: rule
            for name, rule in self.rules.items()
            if name in ids or rule.header.produces == "line_verdicts"
        }
        return replace(self, rules=kept)

    def require_signature(self, trusted: Sequence[OKPKey]) -> KeyId:
        """Return who signed rules and knowledge of a pack that did not come with the product.

        Raises:
            UnsignedPackError: nobody whom the bureau names.
        """
        return _require_signature("pack", self.files, self.signature, trusted)

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

    `path` is one rule file, which is put beside the national pack (or in the place of its rule of that id); a
    folder of rule files; a folder like this one (national/, regions/, knowledge/); or one with regions/ or
    knowledge/ alone, which go on top of the national rules. The rules of line verdicts come from the
    national pack where the other one has none.

    Raises:
        RulePackError: with every problem of every file.
    """
    problems: list[str] = []
    files: dict[str, bytes] = {}
    rules = _load_rules(_rule_files(path), files, problems)
    if path is not None and path.is_file():
        rules = {**_load_rules(_rule_files(None), files, problems), **rules}
    if path is not None:
        for rule in _load_rules([NATIONAL / f"{name}.sql" for name in LINE_RULES], {}, problems).values():
            rules.setdefault(rule.id, rule)
    beside = path if path is not None and path.is_dir() else HERE
    tables = _load_knowledge(_folder(beside, "knowledge"), files, problems)
    regions = _load_regions(_folder(beside, "regions"), rules, problems)
    if problems:
        raise RulePackError(
            f"{len(problems)} problem(s) in the rule pack:\n" + "\n".join(f"  - {one}" for one in problems),
            why="A rule that is not understood must not find anything.",
            do="Correct the files named above; `renzheng rules check` shows the same list.",
            problems=problems,
        )
    signature = _read_if_there(path / SIGNATURE) if path is not None and path.is_dir() else None
    return Pack(rules, regions, tables, files, signature)


def read_rule(path: Path, content: bytes | None = None) -> Rule:
    """Read one rule file; the same content is not parsed again in this process.

    Raises:
        ValueError: no header, unknown keys, a wrong value; the message has a line for each.
    """
    return _rule(path, path.read_bytes() if content is None else content)


@lru_cache(maxsize=128)
def _rule(path: Path, content: bytes) -> Rule:
    text = as_text(content)
    if not text.startswith("/*") or "*/" not in text:
        raise ValueError("there is no header: the file must begin with a comment /* ... */ that holds YAML")
    head, sql = text.removeprefix("/*").split("*/", 1)
    return Rule(_validated(Header, head), sql.strip(), path, text)


def _validated(model: type[Model], text: str) -> Model:
    try:
        return model.model_validate(read_yaml(text))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()]
        raise ValueError("; ".join(lines)) from error


def _rule_files(path: Path | None) -> list[Path]:
    if path is None:
        return sorted(NATIONAL.glob("*.sql"))
    if path.is_file():
        return [path]
    if (path / "national").is_dir():
        return sorted((path / "national").glob("*.sql"))
    found = sorted(path.glob("*.sql"))
    on_top = any((path / name).is_dir() for name in ("regions", "knowledge"))
    return found if found or not on_top else sorted(NATIONAL.glob("*.sql"))


def _folder(beside: Path, name: str) -> Path:
    return beside / name if (beside / name).is_dir() else HERE / name


def _read_if_there(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _read(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"the file is larger than {MOST_BYTES:,} bytes")
    return path.read_bytes()


def _load_rules(
    paths: Sequence[Path], files: dict[str, bytes], problems: list[str], *, place: str = ""
) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for path in paths:
        try:
            content = _read(path)
            rule = read_rule(path, content)
        except (ValueError, OSError) as error:
            problems.append(f"{place}{path.name}: {error}")
            continue
        files[f"national/{path.name}"] = content
        problems.extend(f"{place}{path.name}: {problem}" for problem in lint(rule))
        if rule.id in rules:
            problems.append(f"{place}{path.name}: the id {rule.id} is taken by {rules[rule.id].path.name}")
        rules[rule.id] = rule
    return rules


def lint(rule: Rule) -> Iterator[str]:
    """Name what is wrong with a rule beyond its header's form."""
    header = rule.header
    if rule.path.stem != header.id:
        yield f"the file is named {rule.path.stem}, the rule {header.id}: they must agree"
    if (header.id in LINE_RULES) != (header.produces == "line_verdicts"):
        yield f"line verdicts come from {' and '.join(LINE_RULES)} and from no other rule"
    yield from offences(rule.sql)
    for name in header.parameters:
        if header.produces == "findings" and f"${name}" not in rule.sql:
            yield f"the parameter {name} is not used in the SQL"


def _load_regions(folder: Path, rules: Mapping[str, Rule], problems: list[str]) -> dict[str, Region]:
    codes = {path.stem for path in folder.glob("*.yaml")} | {
        path.name for path in folder.iterdir() if path.is_dir()
    }
    found = {code: _load_region(folder, code, problems) for code in sorted(codes)}
    regions = {code: region for code, region in found.items() if region is not None}
    taken = dict(rules)
    for code, region in regions.items():
        problems.extend(_of_region(code, region, taken))
        taken.update(region.rules)
    return regions


def _load_region(folder: Path, code: str, problems: list[str]) -> Region | None:
    """Read `CODE.yaml` or `CODE/region.yaml`, the rules in `CODE/` and the tables in `CODE/knowledge/`."""
    place = f"regions/{code}"
    paths = [
        path for path in (folder / f"{code}.yaml", *sorted((folder / code).rglob("*"))) if path.is_file()
    ]
    try:
        files = {path.relative_to(folder).as_posix(): _read(path) for path in paths}
        heads = [name for name in (f"{code}.yaml", f"{code}/region.yaml") if name in files]
        if len(heads) != 1:
            raise ValueError(f"there must be one of {code}.yaml and {code}/region.yaml")  # noqa: TRY301
        file = _validated(RegionFile, as_text(files[heads[0]]))
    except (ValueError, OSError) as error:
        problems.append(f"{place}: {error}")
        return None
    rules = _load_rules(sorted((folder / code).glob("*.sql")), {}, problems, place=f"{place}/")
    tables = _load_knowledge(folder / code / "knowledge", {}, problems, place=f"{place}/")
    return Region(file, rules, tables, files, _read_if_there(folder / f"{code}.jws"))


def _of_region(code: str, region: Region, rules: Mapping[str, Rule]) -> Iterator[str]:
    """Name what does not fit between a region's file and the rules."""
    place, file = f"regions/{code}", region.file
    if file.region != code:
        yield f"{place}: the file is for region {file.region}: they must agree"
    mine = {**rules, **region.rules}
    for rule, values in file.parameters.items():
        names = mine[rule].header.parameters if rule in mine else {}
        yield from (f"{place}: there is no parameter {rule}.{name}" for name in values if name not in names)
    yield from (f"{place}: {problem}" for problem in casework.problems_of(file.cases))
    for chosen, choice in file.rules.items():
        if chosen not in mine:
            yield f"{place}: there is no rule {chosen}"
        elif choice.switched_off and chosen in LINE_RULES:
            yield f"{place}: {chosen} cannot be switched off: every line in scope needs a verdict"
    for own in region.rules.values():
        if own.id in rules:
            yield f"{place}/{own.path.name}: the id {own.id} is taken by {rules[own.id].path.name}"
        if own.header.produces == "line_verdicts":
            yield f"{place}/{own.path.name}: a region has no rule of line verdicts of its own"


def _load_knowledge(
    folder: Path, files: dict[str, bytes], problems: list[str], *, place: str = ""
) -> dict[str, tuple[Mapping[str, str], ...]]:
    tables: dict[str, tuple[Mapping[str, str], ...]] = {}
    for path in sorted(folder.glob("*.csv")):
        try:
            content = _read(path)
            rows = read_csv(as_text(content))
        except (ValueError, OSError) as error:
            problems.append(f"{place}{path.name}: {error}")
            continue
        files[f"knowledge/{path.name}"] = content
        problems.extend(f"{place}{path.name}, {problem}" for problem in known.problems(rows))
        tables[path.stem] = rows
    return tables


def _require_signature(
    subject: str, files: Mapping[str, bytes], signature: bytes | None, trusted: Sequence[OKPKey]
) -> KeyId:
    try:
        if signature is None:
            raise ValueError("there is no signature beside it")  # noqa: TRY301
        return signing.signer(subject, files, signature, trusted)
    except ValueError as error:
        raise UnsignedPackError(
            f"The rules of the {subject} are not signed as they must be: {error}.",
            why="The settings name the bureau's key, so only what the bureau signed may accuse anybody.",
            do="Get it signed by `renzheng rules sign`, or correct the key that the settings name.",
        ) from error
