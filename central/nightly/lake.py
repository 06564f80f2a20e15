"""Central's lake: every canonical table as Parquet, what has days by service day and region.

It is brought up to date before each run from the store (what devices told since) and from the imports (what
changed in them). Parts are written beside the lake and join it with its manifest, in one rename: a process
that is killed on the way leaves the lake as it was. Which service days a change touches is noted with it.
"""

# ruff: noqa: S608 - SQL is put together from our own names, paths are quoted

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from renzheng.central.audit.connection import connect
from renzheng.central.audit.sources import Source, canonical_nulls, find_sources, quoted
from renzheng.central.draw.export import spot_checks
from renzheng.central.errors import NightError
from renzheng.central.nightly import store_export
from renzheng.central.nightly.affected_days import touched_days
from renzheng.central.nightly.manifest import Manifest, Part
from renzheng.central.nightly.partitions import (
    CHECKS,
    DAYED,
    FROM_STORE,
    RUNS,
    SHAPES,
    SHARED,
    STORE_FIRST,
    TOLD,
    keyed,
    offsets_table,
)
from renzheng.common.files import put
from renzheng.contracts import tables as canonical
from renzheng.contracts.ids import new_id

logger = logging.getLogger(__name__)
MOST_PARTS = 12
"""Parts of one partition that wait before they become one."""
DAYS_LOOKED_AT = 120
"""How many of the latest billed days are looked at for what a change touches; then settlement is closed."""
COPY = "FORMAT parquet, COMPRESSION zstd"


@dataclass(frozen=True, slots=True)
class Window:
    """Service days of a run, both included, and how many days around them it may look at."""

    first: date
    last: date
    margin_days: int

    def of(self, table: str) -> tuple[str, str]:
        """Give the days (ISO) of which a run needs a table: whole weeks and months of bills, for the caps."""
        margin = timedelta(days=self.margin_days)
        first, last = self.first - margin, self.last + margin
        if table == "claim_lines":
            first = min(first, self.first.replace(day=1))
            next_month = (self.last.replace(day=28) + timedelta(days=4)).replace(day=1)
            last = max(last, next_month - timedelta(days=1))
        return first.isoformat(), last.isoformat()


@dataclass
class _Change:
    """What a refresh has come to so far."""

    parts: list[Part]
    touched: set[str] = field(default_factory=set)
    changed: bool = False


class Lake:
    """The lake in one folder.

    Args:
        folder: where it lies.
        zone: the time zone of institutions that name none.
        night_days: 1 where the region's bed day reaches past midnight, else 0.
    """

    def __init__(self, folder: Path, zone: ZoneInfo, *, night_days: int = 0) -> None:
        self._folder = folder
        self._zone = zone
        self._night_days = night_days

    def manifest(self) -> Manifest:
        """Read what the lake holds now."""
        return Manifest.read(self._folder)

    def refresh(self, store: sa.Connection, imported: Path) -> Manifest:
        """Take in what the devices told and what was imported since; note which days that touches.

        Only one process may do this at a time.

        Args:
            store: a transaction that reads; everything in it is of one moment.
            imported: the folder of imported canonical tables.

        Raises:
            NightError: there is no bill to answer, or a table of the devices lies among the imports.
            TablesUnusableError: an imported table has missing or mistyped columns.
        """
        _check_imports(imported)
        self._folder.mkdir(parents=True, exist_ok=True)
        before = self.manifest()
        if any(not (self._folder / part.path).is_file() for part in before.parts):
            logger.error("parts of the lake are gone: it is made anew from the store and the imports")
            before = Manifest()
        self._sweep(before)
        making = self._folder / ".making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        with self._opened(making) as connection:
            after = _Refresh(self, connection, before, making).run(store, imported)
        shutil.rmtree(making)
        if after != before:
            after.write(self._folder)
            self._sweep(after)
        return after

    def link(self, manifest: Manifest, window: Window, out: Path) -> None:
        """Link what a run needs into a folder of tables, where it stays as it is whatever the lake does."""
        linked = set()
        for part in manifest.parts:
            if part.speaks_of(*window.of(part.table)):
                target = out / _target(part)
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(self._folder / part.path, target)
                linked.add(_seen_as(part.table))
        known = {**canonical.INPUT_TABLES, canonical.REJECTS.name: canonical.REJECTS}
        held = {_seen_as(part.table) for part in manifest.parts}
        for name in {*FROM_STORE, canonical.REJECTS.name, *held} - linked:
            shape = canonical.arrow_schema(known[name])
            pq.write_table(shape.empty_table(), out / f"{name}.parquet")

    def _sweep(self, manifest: Manifest) -> None:
        """Remove files that no manifest names: they were replaced, or are of a process that was killed."""
        kept = {part.path for part in manifest.parts}
        for table in (*SHAPES, canonical.REJECTS.name):
            for path in sorted((self._folder / table).rglob("*"), reverse=True):
                if path.is_dir():
                    if not any(path.iterdir()):
                        path.rmdir()
                elif str(path.relative_to(self._folder)) not in kept:
                    path.unlink()

    @contextmanager
    def _opened(self, making: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        with connect() as connection:
            connection.execute(f"SET temp_directory = '{quoted(making / 'spill')}'")
            connection.execute("SET memory_limit = '2GB'")
            connection.execute("SET preserve_insertion_order = false")
            yield connection

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of institutions that name none."""
        return self._zone

    @property
    def night_days(self) -> int:
        """1 where the region's bed day reaches past midnight, else 0."""
        return self._night_days


class _Refresh:
    """One refresh under way."""

    def __init__(
        self, lake: Lake, connection: duckdb.DuckDBPyConnection, before: Manifest, making: Path
    ) -> None:
        self._lake = lake
        self._db = connection
        self._before = before
        self._making = making
        self._version = before.version + 1
        self._now = _Change(list(before.parts))
        self._changed_tables: list[str] = []

    def run(self, store: sa.Connection, imported: Path) -> Manifest:
        """Bring every table up to date; give the manifest that says so, which is not written yet."""
        sources, prints = find_sources(imported), _prints(imported)
        self._take_rejects(imported, prints)
        for name in ("institutions", *(n for n in canonical.INPUT_TABLES if n != "institutions")):
            if name in SHARED:
                self._take_shared(name, sources[name], store)
            elif name not in FROM_STORE and _of_table(prints, name) != _of_table(self._before.imports, name):
                self._take_imported(name, sources[name], imported)
            if name == "institutions":
                self._prepare_places()
        devices = store_export.heads(store)
        self._take_told(store, devices)
        self._add(f"held_{CHECKS}", spot_checks(store))
        self._take_dayed(CHECKS, f"SELECT {_columns(CHECKS)} FROM held_{CHECKS}")
        if not self._now.changed and devices == self._before.devices and prints == self._before.imports:
            return self._before
        self._gather_touched()
        before = self._before
        lake_id = before.lake_id if before.version else new_id()
        touched = dict(before.touched)
        after = Manifest(self._version, tuple(self._now.parts), devices, prints, touched, lake_id)
        return after.touch(sorted(self._now.touched))

    # -- the tables

    def _prepare_places(self) -> None:
        """Make `zone_offsets` and `regions` out of the institutions as they are now."""
        known = [part for part in self._now.parts if part.table == "institutions"]
        origin = f"SELECT * FROM {self._read(known)}" if known else _nothing("institutions")
        told = f"SELECT institution_id, timezone, region_code FROM ({origin})"
        rows = self._db.execute(told).fetchall()
        zones = {str(row[0]): _zone(row[1], self._lake.zone) for row in rows}
        self._add("zone_offsets", offsets_table(zones, self._lake.zone))
        regions = {str(row[0]): str(row[2]) for row in rows if row[2]}
        texts = {"institution_id": pa.array(regions, pa.string())}
        self._add("regions", pa.table({**texts, "region": pa.array(regions.values(), pa.string())}))

    def _take_shared(self, name: str, source: Source, store: sa.Connection) -> None:
        """Take in a table that imports and the store both fill: of the same thing one of them speaks."""
        columns = _columns(name)
        held = store_export.held(store, name)
        self._add(f"held_{name}", held)
        if source.select is None and not held.num_rows:
            self._drop(name)
            return
        same = " AND ".join(f"h.{key} = i.{key}" for key in SHARED[name])
        imported = f"WITH i AS (SELECT {columns} FROM ({_origin(source)})) SELECT {columns} FROM"
        if name in STORE_FIRST:  # a visit whose stay the store knows is its own, leaves and all
            query = (
                f"{imported} i ANTI JOIN held_{name} h ON {same} ANTI JOIN held_stays s "
                "ON s.institution_id = i.institution_id AND s.visit_id = i.visit_id "
                f"UNION ALL SELECT {columns} FROM held_{name}"
            )
        else:
            query = f"{imported} i UNION ALL SELECT {columns} FROM held_{name} h ANTI JOIN i ON {same}"
        self._take_whole(name, query)

    def _take_imported(self, name: str, source: Source, imported: Path) -> None:
        if source.select is None:
            self._drop(name)
        elif (imported / f"{name}.csv").is_file():
            self._take_csv(name, imported / f"{name}.csv")
        elif name in DAYED:
            self._take_dayed(name, f"SELECT {_columns(name)} FROM ({source.select})")
        else:
            self._take_whole(name, f"SELECT {_columns(name)} FROM ({source.select})")

    def _take_rejects(self, imported: Path, prints: Mapping[str, list[int]]) -> None:
        """Take over what importers did not take: evidence, which touches the days that it speaks of."""
        name = canonical.REJECTS.name
        if _of_table(prints, name) == _of_table(self._before.imports, name):
            return
        path = imported / f"{name}.parquet"
        if not path.is_file():
            self._replace(name, [], ())
            return
        made = self._making / f"{name}.parquet"
        shutil.copyfile(path, made)
        part = Part(name, f"{name}/part-{self._version}.parquet")
        self._place(made, part)
        self._replace(name, [part], ())
        days = self._db.execute(f"SELECT DISTINCT CAST(day AS VARCHAR) FROM read_parquet('{quoted(path)}')")
        self._now.touched |= {str(row[0]) for row in days.fetchall()} & set(self._before.touched)

    def _drop(self, name: str) -> None:
        """Let go of a table that is no longer there."""
        if self._before.of(name):
            self._differs(name, _nothing(name), self._old(name))
            self._replace(name, [], ())

    def _take_whole(self, name: str, origin: str) -> None:
        """Write a table anew if its rows differ from those that the lake holds."""
        made = self._making / f"{name}.parquet"
        self._db.execute(f"COPY ({origin}) TO '{quoted(made)}' ({COPY})")
        differs = self._differs(name, f"SELECT * FROM read_parquet('{quoted(made)}')", self._old(name))
        if differs or not self._before.of(name):
            part = Part(name, f"{name}/part-{self._version}.parquet")
            self._place(made, part)
            self._replace(name, [part], ())

    def _take_csv(self, name: str, path: Path) -> None:
        """Keep a CSV as it came, for the audit rejects what cannot be read; it touches all days."""
        made = self._making / f"{name}.csv"
        shutil.copyfile(path, made)
        part = Part(name, f"{name}/part-{self._version}.csv")
        self._place(made, part)
        self._replace(name, [part], ())
        self._now.touched |= set(self._before.touched)

    def _take_dayed(self, name: str, origin: str) -> None:
        """Write anew the partitions of an imported table whose rows changed; leave the others as they are."""
        columns = _columns(name)
        self._db.execute(f"CREATE OR REPLACE TABLE keyed_rows AS {keyed(name, origin)}")
        found = self._db.execute(
            f"SELECT day, region, count(*), bit_xor(hash({columns})), sum(hash({columns})) "
            "FROM keyed_rows GROUP BY day, region"
        ).fetchall()
        prints = {(str(day), str(region)): ":".join(map(str, told)) for day, region, *told in found}
        held = {part.partition: part.content for part in self._before.of(name)}
        fresh = {place for place, content in prints.items() if held.get(place) != content}
        gone = held.keys() - prints.keys()
        if not fresh and not gone:
            return
        self._add("fresh", _places(fresh))
        chosen = "SELECT k.* FROM keyed_rows k SEMI JOIN fresh f ON k.day = f.day AND k.region = f.region"
        old = [part for part in self._before.of(name) if part.partition in fresh | gone]
        self._differs(name, chosen, self._keyed_old(name, old), keys=", first_day, last_day")
        parts = self._write_partitions(name, chosen, prints)
        stay = [part for part in self._before.of(name) if part.partition not in fresh | gone]
        self._replace(name, parts, stay)
        self._db.execute("DROP TABLE keyed_rows")

    def _take_told(self, store: sa.Connection, devices: Mapping[str, int]) -> None:
        """Add what the devices' logs hold beyond what the lake has of them."""
        news = {d: (self._before.devices.get(d, 0), head) for d, head in devices.items()}
        news = {device: span for device, span in news.items() if span[1] > span[0]}
        for name in TOLD:
            made = self._making / f"{name}.parquet"
            rows = store_export.write_told(store, name, news, made)
            if rows:
                told = keyed(name, f"SELECT * FROM read_parquet('{quoted(made)}')")
                self._db.execute(f"CREATE OR REPLACE TABLE told_{name} AS {told}")
                self._note_changed(name, f"SELECT *, true AS is_new FROM told_{name}")
                self._now.parts += self._write_partitions(name, f"FROM told_{name}", {})
                self._now.changed = True
                self._merge_parts(name)

    def _merge_parts(self, name: str) -> None:
        """Make one part of the many that a partition has come to."""
        by_place: dict[tuple[str, str], list[Part]] = {}
        for part in self._now.parts:
            if part.table == name and part.day:
                by_place.setdefault(part.partition, []).append(part)
        for parts in by_place.values():
            if len(parts) <= MOST_PARTS:
                continue
            merged = replace(
                parts[0],
                path=str(Path(parts[0].path).parent / f"merged-{self._version}.parquet"),
                first=min(part.first for part in parts),
                last=max(part.last for part in parts),
            )
            made = self._making / "merged.parquet"
            self._db.execute(
                f"COPY (SELECT {_columns(name)} FROM {self._read(parts)}) TO '{quoted(made)}' ({COPY})"
            )
            self._place(made, merged)
            self._now.parts = [part for part in self._now.parts if part not in parts] + [merged]

    # -- parts

    def _write_partitions(self, name: str, query: str, prints: Mapping[tuple[str, str], str]) -> list[Part]:
        """Write rows of `keyed` into partitions of the lake's folder; they are not part of it yet."""
        out = self._making / name
        spans = {
            (str(day), str(region)): (str(first), str(last))
            for day, region, first, last in self._db.execute(
                f"SELECT day, region, CAST(DATE '1970-01-01' + CAST(min(first_day) AS INTEGER) AS VARCHAR), "
                f"CAST(DATE '1970-01-01' + CAST(max(last_day) AS INTEGER) AS VARCHAR) "
                f"FROM ({query}) GROUP BY day, region"
            ).fetchall()
        }
        self._db.execute(
            f"COPY (SELECT {_columns(name)}, day, region FROM ({query})) TO '{quoted(out)}' "
            f"({COPY}, PARTITION_BY (day, region))"
        )
        parts = []
        for number, path in enumerate(sorted(out.rglob("*.parquet"))):
            day, region = (
                unquote(folder.name.split("=", 1)[1]) for folder in (path.parent.parent, path.parent)
            )
            first, last = spans[day, region] if day != "unknown" else ("", "")
            place = Path(name) / path.relative_to(out).parent / f"part-{self._version}-{number}.parquet"
            part = Part(name, str(place), day, region, first, last, prints.get((day, region), ""))
            self._place(path, part)
            parts.append(part)
        shutil.rmtree(out)
        return parts

    def _place(self, made: Path, part: Part) -> None:
        target = self._lake.folder / part.path
        target.parent.mkdir(parents=True, exist_ok=True)
        put(made, target)

    def _replace(self, name: str, parts: Sequence[Part], staying: Sequence[Part]) -> None:
        others = [part for part in self._now.parts if part.table != name]
        self._now.parts = [*others, *staying, *parts]
        self._now.changed = True

    def _read(self, parts: Sequence[Part]) -> str:
        files = ", ".join(f"'{quoted(self._lake.folder / part.path)}'" for part in parts)
        return f"read_parquet([{files}], hive_partitioning = false, union_by_name = true)"

    def _old(self, name: str) -> str:
        parts = [part for part in self._before.of(name) if part.path.endswith(".parquet")]
        return f"SELECT * FROM {self._read(parts)}" if parts else _nothing(name)

    def _keyed_old(self, name: str, parts: Sequence[Part]) -> str:
        parts = [part for part in parts if part.path.endswith(".parquet")]
        return keyed(name, f"SELECT * FROM {self._read(parts)}" if parts else _nothing(name))

    # -- what changed

    def _differs(self, name: str, new: str, old: str, *, keys: str = "") -> bool:
        """Keep the rows that are not as often in the old as in the new; tell whether there are any."""
        columns = _columns(name) + keys
        self._db.execute(f"CREATE OR REPLACE TABLE new_rows AS SELECT {columns} FROM ({new})")
        self._db.execute(f"CREATE OR REPLACE TABLE old_rows AS SELECT {columns} FROM ({old})")
        self._note_changed(
            name,
            "SELECT *, true AS is_new FROM (FROM new_rows EXCEPT ALL FROM old_rows) "
            "UNION ALL SELECT *, false AS is_new FROM (FROM old_rows EXCEPT ALL FROM new_rows)",
        )
        self._db.execute("DROP TABLE new_rows; DROP TABLE old_rows")
        return bool(self._db.execute(f"SELECT count(*) FROM changed_{name}").fetchall()[0][0])

    def _note_changed(self, name: str, query: str) -> None:
        self._db.execute(f"CREATE OR REPLACE TABLE changed_{name} AS {query}")
        self._changed_tables.append(name)

    def _gather_touched(self) -> None:
        """Name the days that everything that changed touches, over the bills as they are now."""
        lines = [part for part in self._now.parts if part.table == "claim_lines" and part.day != "unknown"]
        latest = sorted({part.day for part in lines})[-DAYS_LOOKED_AT:]
        lines = [part for part in lines if part.path.endswith(".parquet") and part.day in latest]
        classes = [part for part in self._now.parts if part.table == "item_catalogue"]
        known = self._read(classes) if classes else f"({_nothing('item_catalogue')})"
        points = [part for part in self._now.parts if part.table == "service_points"]
        places = self._read(points) if points else f"({_nothing('service_points')})"
        origin = f"SELECT * FROM {self._read(lines)}" if lines else _nothing("claim_lines")
        self._db.execute(
            "CREATE OR REPLACE TABLE billed AS SELECT DISTINCT c.person_id, c.institution_id, c.item_code, "
            # what a service point bills by its code is of a kind, whatever its class
            "CASE WHEN coalesce(k.item_class, 'other') = 'other' THEN coalesce(p.kind, 'other') "
            "ELSE k.item_class END AS item_class, c.first_day AS day, "
            "CASE WHEN k.item_class = 'bed_day' "
            "THEN CAST(least(greatest(ceil(c.quantity), 1), 400) AS BIGINT) ELSE 1 END AS bed_days "
            f"FROM ({keyed('claim_lines', origin)}) c LEFT JOIN {known} k ON k.item_code = c.item_code "
            "LEFT JOIN (SELECT DISTINCT institution_id, unnest(string_split(item_codes, ';')) AS item_code, "
            f"'{canonical.SERVICE_CLASSES[0]}' AS kind FROM {places}) p "
            "ON p.institution_id = c.institution_id AND trim(p.item_code) = c.item_code"
        )
        for name in self._changed_tables:
            self._db.execute(f"CREATE OR REPLACE VIEW changed AS FROM changed_{name}")
            self._now.touched |= set(touched_days(self._db, name, night_days=self._lake.night_days))

    def _add(self, name: str, table: pa.Table) -> None:
        self._db.register("arrow_in", table)
        self._db.execute(f"CREATE OR REPLACE TABLE {name} AS FROM arrow_in")
        self._db.unregister("arrow_in")


def _columns(name: str) -> str:
    return ", ".join(column.name for column in SHAPES[name].columns)


def _nothing(name: str) -> str:
    return f"SELECT {canonical_nulls(SHAPES[name])} WHERE false"


def _origin(source: Source) -> str:
    return source.select or _nothing(source.table.name)


def _places(places: set[tuple[str, str]]) -> pa.Table:
    return pa.table(
        {
            "day": pa.array([day for day, _ in places], pa.string()),
            "region": pa.array([region for _, region in places], pa.string()),
        }
    )


def _zone(name: str | None, default: ZoneInfo) -> ZoneInfo:
    try:
        return ZoneInfo(name) if name else default
    except (KeyError, ValueError, OSError):
        return default


def _sources(folder: Path, name: str) -> list[Path]:
    candidates = (folder / f"{name}.parquet", folder / f"{name}.csv", folder / name)
    return [path for path in candidates if path.exists()]


def _check_imports(imported: Path) -> None:
    if not _sources(imported, "claim_lines"):
        raise NightError(
            f"There is no table claim_lines in {imported}.",
            why="Without bills there is nothing to audit.",
            do=f"Import them first: renzheng claims import PATH --format nhsa --out {imported}",
        )
    for name in FROM_STORE:
        if _sources(imported, name):
            raise NightError(
                f"{name} lies among the imports, but comes from the devices' own logs.",
                do="Move it away; to audit a folder as it is, use: renzheng audit run",
            )


def _prints(imported: Path) -> dict[str, list[int]]:
    """Tell the imported files apart: an import replaces its files by renaming, which changes all three."""
    files = [
        path
        for name in (*canonical.INPUT_TABLES, canonical.REJECTS.name)
        for source in _sources(imported, name)
        for path in (sorted(source.rglob("*.parquet")) if source.is_dir() else [source])
    ]
    return {str(path.relative_to(imported)): _print(path.stat()) for path in files}


def _print(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _of_table(prints: Mapping[str, list[int]], name: str) -> dict[str, list[int]]:
    return {path: told for path, told in prints.items() if path.split("/")[0].split(".")[0] == name}


def _target(part: Part) -> Path:
    """Say where a part lies in a folder of tables; what is kept whole is one file of its table's name."""
    if not part.day:
        return Path(f"{part.table}{Path(part.path).suffix}")
    inside = Path(part.path).relative_to(part.table)
    if part.table == RUNS:  # beside the imported ones, under a name that none of those has
        inside = inside.with_name(f"signed-{inside.name}")
    return Path(_seen_as(part.table)) / inside


def _seen_as(table: str) -> str:
    """Name the canonical table whose rows a table of the lake holds."""
    return canonical.MACHINE_SESSIONS.name if table == RUNS else table


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
