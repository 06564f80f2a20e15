"""Spark as the engine of the audit: the same steps, translated; for a lake that is already on a cluster."""

# ruff: noqa: S608 - SQL is put together from the names in contracts.tables, paths are quoted

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
from pyspark import SparkConf
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from renzheng.central.audit.connection import connect
from renzheng.central.audit.errors import EngineError
from renzheng.central.audit.limits import limited
from renzheng.central.audit.sources import PART, UNREADABLE, Source, no_rows, quoted
from renzheng.rules.dialect import to_spark

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
LOCAL_SETTINGS = {"spark.sql.shuffle.partitions": "2", "spark.default.parallelism": "2"}
"""On one machine the usual 200 partitions would only cost time."""
NEEDED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.parquet.compression.codec": "zstd",
    # a table is a name; parquet.`/path` is none
    "spark.sql.runSQLOnFiles": "false",
    # Spark 4.1 to 4.3 may plan a union by its parts, then find them unequal or read them apart (SPARK-59141)
    "spark.sql.unionOutputPartitioning": "false",
}
"""What the steps rely on, set on the session whoever made it."""


class SparkEngine:
    """Runs steps in the Spark session there is, or in a local one; drops its own tables afterwards.

    Args:
        scratch: an existing folder for steps and results; on a cluster, one that all workers see.
    """

    name = "spark"

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._mine: set[str] = set()
        existing = SparkSession.getActiveSession()
        try:
            self._spark = existing or _new_session()
        except (PySparkException, OSError, RuntimeError) as error:
            raise EngineError(
                f"Spark could not be started: {error}",
                why="The audit was asked to run on Spark, which needs Java 17 or newer.",
                do="Install Java (Debian: apt install default-jre-headless), or run with --engine duckdb.",
            ) from error
        for name, value in NEEDED.items():
            self._spark.conf.set(name, value)
        self._single = self._spark.conf.get("spark.sql.shuffle.partitions") == "1"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._mine:
            self._spark.catalog.dropTempView(name)

    def source(self, source: Source, name: str) -> None:
        """Make one input table readable under `name`.

        Spark itself reads Parquet that has the canonical types; anything else is staged once through DuckDB.
        """
        if source.parquet:
            reader = self._spark.read.option("mergeSchema", "true")
            if source.base is not None:
                reader = reader.option("basePath", str(source.base))
            frame = reader.parquet(*map(str, source.parquet))
            present = [column.name for column in source.table.columns]
            part = "_metadata.file_path" if len(source.parquet) > 1 else "CAST(NULL AS STRING)"
            extra = (f"CAST(NULL AS STRING) AS {UNREADABLE}", f"{part} AS {PART}")
            self._keep(name, frame.selectExpr(*present, *extra))
            return
        staged = self._scratch / f"{name}.parquet"
        with connect() as connection:
            connection.execute(
                f"COPY ({source.select or no_rows(source.table)}) TO '{quoted(staged)}' (FORMAT parquet)"
            )
        self._keep(name, self._spark.read.parquet(str(staged)))

    def table(self, name: str, sql: str) -> None:
        """Run one step and keep its rows under `name`, as Parquet.

        Read back it is a table like any other: a checkpoint would carry column identities into self-joins
        that Spark then cannot tell apart, and a plan without either would grow with every step.
        """
        frame, path = self._sql(sql), self._scratch / "steps" / name
        try:
            frame.write.mode("overwrite").parquet(str(path))
            self._keep(name, self._spark.read.schema(frame.schema).parquet(str(path)))
        except PySparkException as error:
            raise _failed(sql, error) from error

    def view(self, name: str, sql: str) -> None:
        """Give a query a name; it runs where it is used."""
        self._name(name, self._sql(sql))

    def settle(self, name: str, sql: str, rows: int) -> None:  # noqa: ARG002 - the engines' common form
        """Give a query on input tables a name; it runs where it is used."""
        self.view(name, sql)

    def drop(self, name: str) -> None:
        """Forget a table that no later step reads."""
        self._spark.catalog.dropTempView(name)
        self._mine.discard(name)
        shutil.rmtree(self._scratch / "steps" / name, ignore_errors=True)

    def add(self, name: str, table: pa.Table) -> None:
        """Take in a table that was computed elsewhere."""
        self._keep(name, self._spark.createDataFrame(table))

    def rows(self, sql: str) -> pa.Table:
        """Run a query and fetch all of its rows."""
        try:
            return self._sql(sql).toArrow()
        except PySparkException as error:
            raise _failed(sql, error) from error

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Run a query and fetch its rows."""
        yield from self.rows(sql).to_batches()

    def write(self, sql: str, path: Path) -> None:
        """Write a query's rows to one Parquet file, in the order that the query gives."""
        parts = self._scratch / f"{path.name}.parts"
        try:
            self._sql(sql).coalesce(1).write.mode("overwrite").parquet(str(parts))
        except PySparkException as error:
            raise _failed(sql, error) from error
        (part,) = parts.glob("part-*.parquet")
        shutil.move(part, path)
        shutil.rmtree(parts)

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Interrupt the jobs that are begun inside after so many seconds."""
        tag = f"limit-{uuid.uuid4()}"
        self._spark.addTag(tag)
        try:
            with limited(seconds, lambda: self._spark.interruptTag(tag)):
                yield
        finally:
            self._spark.removeTag(tag)

    def is_kept(self, step: str) -> bool:  # noqa: ARG002 - the engines' common form
        """Tell that no step is kept: views of a Spark session are gone with it."""
        return False

    def keep(self, step: str) -> None:
        """Keep nothing."""

    def number_of(self, keys: Sequence[str], salt: int = 0) -> str:
        """Write the expression for one whole number that stands for several texts."""
        return f"shiftrightunsigned(xxhash64({', '.join(keys)}, {salt}), 1)"

    def has_doubles(self, name: str, keys: Sequence[str], salt: int = 0) -> bool:
        """Return whether two rows of a table have the same number."""
        number = self.number_of(keys, salt)
        doubled = f"SELECT {number} AS n FROM {name} GROUP BY {number} HAVING count(*) > 1 LIMIT 1"
        return bool(self.rows(doubled).num_rows)

    def micros(self, column: str) -> str:
        """Write the expression for a timestamp as microseconds since 1970 in UTC."""
        return f"unix_micros({column})"

    def day(self, column: str) -> str:
        """Write the expression for a date as days since 1970-01-01."""
        return f"CAST(unix_date({column}) AS BIGINT)"

    def _keep(self, name: str, frame: DataFrame) -> None:
        # what is known to be one partition needs no exchange before a join or a sum
        self._name(name, frame.coalesce(1) if self._single else frame)

    def _name(self, name: str, frame: DataFrame) -> None:
        frame.createOrReplaceTempView(name)
        self._mine.add(name)

    def _sql(self, sql: str) -> DataFrame:
        try:
            return self._spark.sql(to_spark(sql))
        except PySparkException as error:
            raise _failed(sql, error) from error


def _new_session() -> SparkSession:
    """Start a session; settings of the site (spark-defaults.conf, spark-submit) come first."""
    conf = (
        SparkConf().setIfMissing("spark.master", "local[*]").setIfMissing("spark.app.name", "renzheng-audit")
    )
    local = str(conf.get("spark.master")).startswith("local")
    for name, value in {**SETTINGS, **(LOCAL_SETTINGS if local else {})}.items():
        conf.setIfMissing(name, value)
    return SparkSession.builder.config(conf=conf).getOrCreate()


def _failed(sql: str, error: PySparkException) -> EngineError:
    return EngineError(
        f"Spark could not run a step: {str(error).splitlines()[0]}",
        why="The audit stopped; nothing was put in place of an earlier result.",
        do="See Spark's own log; `renzheng audit explain --engine spark` prints every step as Spark gets it.",
        sql=sql,
    )
