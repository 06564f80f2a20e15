"""Spark as the engine of the audit: the same steps, translated; for a lake that is already on a cluster.

What grows with the lake stays with the workers: steps are Parquet beside the output, results are written in
parts by those who have them, and what is computed in Python is computed person by person. To the driver come
sums, catalogues, and the findings.
"""

# ruff: noqa: S608 - SQL is put together from the names in contracts.tables, paths are quoted

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import cloudpickle
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from renzheng.central.audit import computing, matching, reversing
from renzheng.central.audit.computing import Computation
from renzheng.central.audit.connection import connect
from renzheng.central.audit.errors import EngineError
from renzheng.central.audit.findings import MOST_FINDINGS
from renzheng.central.audit.hadoop_files import HadoopFiles
from renzheng.central.audit.limits import limited
from renzheng.central.audit.request import SMALL, address_of
from renzheng.central.audit.sources import PART, UNREADABLE, Source, no_rows, quoted
from renzheng.central.audit.spark_session import SPARK_FAULTS, first_line
from renzheng.rules.dialect import to_spark

_SQL_TYPES = {pa.int64(): "BIGINT", pa.string(): "STRING", pa.bool_(): "BOOLEAN"}
COMPRESSION = "zstd"

for _module in (computing, matching, reversing):
    # sent along with what they compute: the workers need not have this package
    cloudpickle.register_pickle_by_value(_module)  # type: ignore[no-untyped-call]


class SparkEngine:
    """Runs steps in a Spark session; drops its own tables afterwards.

    Args:
        spark: the audit's own session.
        files: its file systems.
        scratch: address of a folder for steps; on a cluster, one that all workers see.
        here: a folder of this machine; what is written to a path below it goes to its place below `made`.
        made: address of the folder for results.
        lasting: keep each step in `scratch`, so that another process can go on after a kill.
    """

    name = "spark"
    at_once = 1

    def __init__(
        self,
        spark: SparkSession,
        files: HadoopFiles,
        scratch: str,
        *,
        here: Path,
        made: str,
        lasting: bool = False,
    ) -> None:
        self._spark = spark
        self._files = files
        self._scratch = scratch
        self._here, self._made = here, made
        self._mine: set[str] = set()
        self._what: dict[str, dict[str, Any]] = {}
        self._lasting = lasting
        self._kept = {one.name: one.address for one in files.files(f"{scratch}/kept")} if lasting else {}
        self._single = spark.conf.get("spark.sql.shuffle.partitions") == "1"
        self._small = spark.conf.get(SMALL, "false") == "true" and not lasting
        if self._small:
            self.at_once = 2  # planning takes longer than running, and one thread plans one query

    def close(self) -> None:
        """Forget every table."""
        with suppress(*SPARK_FAULTS):  # a session that is gone has no tables either
            for name in self._mine:
                self._spark.catalog.dropTempView(name)

    def source(self, source: Source, name: str) -> None:
        """Make one input table readable under `name`.

        Spark itself reads Parquet; anything else is staged once through DuckDB.
        """
        if source.parquet:
            present = source.expressions or tuple(column.name for column in source.table.columns)
            if self._small and len(source.parquet) == 1:
                nothing = tuple(f"CAST(NULL AS STRING) AS {name}" for name in (UNREADABLE, PART))
                read = self._spark.createDataFrame(pq.ParquetFile(source.parquet[0]).read())
                self._keep(name, read.selectExpr(*present, *nothing))
                return
            reader = self._spark.read.option("mergeSchema", "true")
            if source.base is not None:
                reader = reader.option("basePath", address_of(source.base))
            frame = reader.parquet(*map(address_of, source.parquet))
            part = "_metadata.file_path" if len(source.parquet) > 1 else "CAST(NULL AS STRING)"
            extra = (f"CAST(NULL AS STRING) AS {UNREADABLE}", f"{part} AS {PART}")
            self._keep(name, frame.selectExpr(*present, *extra))
            return
        staged = self._here / "staged" / f"{name}.parquet"
        staged.parent.mkdir(exist_ok=True)
        with connect() as connection:
            connection.execute(
                f"COPY ({source.select or no_rows(source.table)}) TO '{quoted(staged)}' (FORMAT parquet)"
            )
        self._files.upload(staged, f"{self._scratch}/staged/{name}.parquet")
        staged.unlink()
        self._keep(name, self._spark.read.parquet(f"{self._scratch}/staged/{name}.parquet"))

    def table(self, name: str, sql: str) -> None:
        """Run one step and keep its rows under `name`, as Parquet.

        Read back it is a table like any other: a checkpoint would carry column identities into self-joins
        that Spark then cannot tell apart, and a plan without either would grow with every step.
        """
        self._table(name, self._sql(sql), sql)

    def compute(self, name: str, origin: str, computation: Computation) -> None:
        """Run one step that is no SQL, on the workers, group by group."""
        if self._small:
            self.add(name, computation.run(self.rows(f"SELECT * FROM {origin}")))
            return
        columns = ", ".join(f"{one.name} {_SQL_TYPES[one.type]}" for one in computation.schema)
        groups = self._spark.table(origin).groupBy(*computation.keys)
        self._table(name, groups.applyInArrow(computation.run, columns), f"the computation of {name}")

    def view(self, name: str, sql: str) -> None:
        """Give a query a name; it runs where it is used."""
        self._name(name, self._sql(sql))
        self._what[name] = {"view": sql}

    def settle(self, name: str, sql: str, rows: int) -> None:  # noqa: ARG002 - the engines' common form
        """Give a query on input tables a name; where all runs in one partition, its rows are kept at once."""
        (self.table if self._single else self.view)(name, sql)

    def drop(self, name: str) -> None:
        """Forget a table that no later step reads."""
        self._spark.catalog.dropTempView(name)
        self._mine.discard(name)
        if not self._small:
            self._files.delete(self._place(name))

    def add(self, name: str, table: pa.Table) -> None:
        """Take in a table that was computed elsewhere."""
        self._keep(name, self._spark.createDataFrame(table))

    def rows(self, sql: str) -> pa.Table:
        """Run a query and fetch all of its rows."""
        return self._fetched(self._sql(sql), sql)

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Run a query and fetch its rows, but for one more than a rule may find no more of them."""
        yield from self._fetched(self._sql(sql).limit(MOST_FINDINGS + 1), sql).to_batches()

    def write(self, sql: str, path: Path) -> None:
        """Write a query's rows to a folder of Parquet files whose names and rows are in the query's order."""
        frame = self._sql(sql)
        try:
            writer = frame.write.mode("overwrite").option("compression", COMPRESSION)
            writer.parquet(f"{self._made}/{path.relative_to(self._here).as_posix()}")
        except SPARK_FAULTS as error:
            raise _failed(sql, error) from error

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Interrupt the jobs that are begun inside, in this thread, after so many seconds."""
        context, group = self._spark.sparkContext, f"limit-{uuid.uuid4()}"
        context.setJobGroup(group, "limited", interruptOnCancel=True)
        try:
            with limited(seconds, lambda: context.cancelJobGroup(group)):
                yield
        finally:
            context.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]

    def is_kept(self, step: str) -> bool:
        """Tell whether an earlier process has done this step; what it made can be read again."""
        if step not in self._kept:
            return False
        what = json.loads(self._files.read(self._kept[step]))
        if "view" in what:
            self._see_again(step, what["view"])
        elif self._files.is_folder(self._place(step)):
            schema = StructType.fromJson(what["schema"])
            self._keep(step, self._spark.read.schema(schema).parquet(self._place(step)))
        return True

    def _see_again(self, view: str, sql: str) -> None:
        """Make a view once more, unless what it reads was dropped: then nobody reads it any more."""
        try:
            self._name(view, self._spark.sql(to_spark(sql)))
        except AnalysisException as error:
            if error.getCondition() != "TABLE_OR_VIEW_NOT_FOUND":
                raise _failed(sql, error) from error

    def keep(self, step: str) -> None:
        """Note that a step is done, so that it need not be done again after a kill."""
        if self._lasting:
            self._files.write_whole(f"{self._scratch}/kept/{step}", json.dumps(self._what[step]).encode())

    def number_of(self, keys: Sequence[str], salt: int = 0) -> str:
        """Write the expression for one whole number that stands for several texts."""
        return f"shiftrightunsigned(xxhash64({', '.join(keys)}, {salt}), 1)"

    def unplain(self, name: str, columns: Mapping[str, str]) -> Collection[str]:
        """Name the columns in which some text has a character outside of a set of ASCII ranges."""
        counts = ", ".join(
            f"count(CASE WHEN regexp_matches({column}, '[^{plain}]') THEN 1 END) AS {column}"
            for column, plain in columns.items()
        )
        (found,) = self.rows(f"SELECT {counts} FROM {name}").to_pylist()
        return {column for column, texts in found.items() if texts}

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

    def _table(self, name: str, frame: DataFrame, told: str) -> None:
        if self._small:
            self._keep(name, self._collected(frame, told))
            return
        try:
            frame.write.mode("overwrite").option("compression", COMPRESSION).parquet(self._place(name))
            self._keep(name, self._spark.read.schema(frame.schema).parquet(self._place(name)))
        except SPARK_FAULTS as error:
            raise _failed(told, error) from error
        self._what[name] = {"schema": frame.schema.jsonValue()}

    def _collected(self, frame: DataFrame, told: str) -> DataFrame:
        """Run a query now and hold its rows in the driver, where Spark plans with them as with constants."""
        java = frame._jdf  # noqa: SLF001 - by way of Python the rows would be written down twice
        try:
            rows = java.collectAsList()
            return DataFrame(java.sparkSession().createDataFrame(rows, java.schema()), self._spark)
        except SPARK_FAULTS as error:
            raise _failed(told, error) from error

    def _place(self, name: str) -> str:
        return f"{self._scratch}/steps/{name}"

    def _keep(self, name: str, frame: DataFrame) -> None:
        # what is known to be one partition needs no exchange before a join or a sum
        self._name(name, frame.coalesce(1) if self._single else frame)

    def _name(self, name: str, frame: DataFrame) -> None:
        frame.createOrReplaceTempView(name)
        self._mine.add(name)

    def _fetched(self, frame: DataFrame, sql: str) -> pa.Table:
        try:
            return frame.toArrow()
        except SPARK_FAULTS as error:
            raise _failed(sql, error) from error

    def _sql(self, sql: str) -> DataFrame:
        try:
            return self._spark.sql(to_spark(sql))
        except SPARK_FAULTS as error:
            raise _failed(sql, error) from error


def _failed(sql: str, error: Exception) -> EngineError:
    return EngineError(
        f"Spark could not run a step: {first_line(error)}",
        why="The audit stopped; nothing was put in place of an earlier result.",
        do="See Spark's own log; `renzheng audit explain --engine spark` prints every step as Spark gets it.",
        sql=sql,
    )
