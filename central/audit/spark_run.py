"""What a run on Spark has around its steps: session, tables and output by address, going on after a kill."""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from renzheng.central.audit.errors import AuditUsageError, EngineError
from renzheng.central.audit.hadoop_files import HadoopFiles
from renzheng.central.audit.request import AuditRequest, address_of
from renzheng.central.audit.sources import Source, find_sources, read_rejects
from renzheng.central.audit.spark_engine import SparkEngine
from renzheng.central.audit.spark_session import SPARK_FAULTS, AuditSession
from renzheng.central.audit.spark_sources import LakeTables

Facts = list[list[Any]]
LAST = "summary.json"


@dataclass(frozen=True)
class SparkWork:
    """A run under way.

    Args:
        engine: runs the steps.
        sources: the tables as found.
        rejects: what importers did not take.
        made: folder of this machine in which small results are made; big ones go to their place at once.
    """

    engine: SparkEngine
    sources: dict[str, Source]
    rejects: list[dict[str, Any]]
    made: Path
    _files: HadoopFiles = field(repr=False)
    _made: str = field(repr=False)
    _out: str = field(repr=False)

    def put_in_place(self) -> None:
        """Move this run's output over that of an earlier one; the summary comes last and vouches for it."""
        files = self._files
        for path in self.made.iterdir():
            if path.is_file():
                files.upload(path, f"{self._made}/{path.name}")
        files.make(f"{self._made}/rejected")
        files.delete(f"{self._out}/{LAST}")
        for name in sorted(files.names(self._made), key=lambda name: (name == LAST, name)):
            files.move(f"{self._made}/{name}", f"{self._out}/{name}")


@contextmanager
def spark_work(request: AuditRequest, what_is_asked: Callable[[Facts], str]) -> Iterator[SparkWork]:
    """Hold a session for one run, and the folder beside the output in which it works.

    Args:
        request: what is asked.
        what_is_asked: writes down, with the facts about the tables, on what the rows of a step depend.

    Raises:
        AuditUsageError: there are no tables, or the workers do not see the folder of the output.
        EngineError: Spark cannot be started, or a place cannot be reached.
    """
    session = AuditSession(request.spark)
    try:
        files = HadoopFiles(session.spark)
        tables, out = address_of(request.tables), address_of(request.out)
        _check(files, tables, out)
        with (
            tempfile.TemporaryDirectory() as folder,
            _scratch(files, out, what_is_asked(_facts(files, tables)), lasting=request.resumable) as scratch,
        ):
            here, made = Path(folder) / "made", f"{scratch}/made"
            here.mkdir()
            files.delete(made)
            _require_shared(session.spark, files, scratch)
            sources, rejects = _tables(request, session.spark, files, Path(folder) / "fetched")
            engine = SparkEngine(
                session.spark, files, scratch, here=here, made=made, lasting=request.resumable
            )
            try:
                yield SparkWork(engine, sources, rejects, here, files, made, out)
            finally:
                engine.close()
    finally:
        session.close()


def _tables(
    request: AuditRequest, spark: SparkSession, files: HadoopFiles, fetched: Path
) -> tuple[dict[str, Source], list[dict[str, Any]]]:
    if isinstance(request.tables, Path):
        return find_sources(request.tables), read_rejects(request.tables)
    tables = LakeTables(spark, files, request.tables, fetched)
    return tables.sources(), tables.rejects()


def _facts(files: HadoopFiles, tables: str) -> Facts:
    return [[one.address, one.size, one.modified] for one in files.files(tables)]


def _check(files: HadoopFiles, tables: str, out: str) -> None:
    if not files.is_folder(tables):
        raise AuditUsageError(
            f"There is no folder {tables}.",
            why="The audit reads one table a name from it.",
            do="Give the folder with the canonical tables as --tables.",
        )
    if files.is_file(out):
        raise AuditUsageError(f"{out} is a file.", do="Give a folder as --out.")


@contextmanager
def _scratch(files: HadoopFiles, out: str, asked: str, *, lasting: bool) -> Iterator[str]:
    """Give the folder in which a run works; that of a resumable one outlives a kill, for the same request."""
    if not lasting:
        scratch = f"{out}/.audit-{uuid.uuid4()}"
        files.make(scratch)
        try:
            yield scratch
        finally:
            with suppress(
                EngineError
            ):  # what ended the run is what is told, not that nothing is left to clear
                files.delete(scratch)
        return
    scratch = f"{out}/.steps"
    known = f"{scratch}/request.json"
    if not files.is_file(known) or files.read(known) != asked.encode():
        files.delete(scratch)
        files.write_whole(known, asked.encode())
    yield scratch
    files.delete(scratch)


def _require_shared(spark: SparkSession, files: HadoopFiles, scratch: str) -> None:
    """Have every worker write a little into the scratch folder, and look whether it is there."""
    if not scratch.startswith("file:") or str(spark.sparkContext.master).startswith("local"):
        return
    probe, parts = f"{scratch}/probe", 2 * spark.sparkContext.defaultParallelism
    try:
        spark.range(0, parts, 1, parts).write.mode("overwrite").parquet(probe)
        seen = len(files.files(probe))
    except SPARK_FAULTS:
        seen = 0
    files.delete(probe)
    if seen < parts:
        raise AuditUsageError(
            f"What the workers write to {scratch} is not there for this machine.",
            why="On a cluster every worker must see the folder of the output under the same address.",
            do="Give --out as an address that all reach, such as hdfs:// or s3a://, or a shared folder.",
        )
