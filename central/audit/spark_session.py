"""The Spark session of an audit: the site's settings, before them the command's, after them ours.

What the site says stands in `spark-defaults.conf` (under SPARK_CONF_DIR, else SPARK_HOME/conf) and in the
environment, or comes from spark-submit. A session that is there already is taken as it is.
"""

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from renzheng.central.audit.errors import AuditUsageError, EngineError
from renzheng.central.audit.request import SparkAsked

USUAL: Mapping[str, str] = {"spark.app.name": "renzheng-audit", "spark.master": "local[*]"}
ON_ONE_MACHINE: Mapping[str, str] = {
    # the usual 200 partitions would only cost time
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}
"""For a master `local`, each where the site has not said otherwise."""
NEEDED: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    # a table is a name; parquet.`/path` is none
    "spark.sql.runSQLOnFiles": "false",
    # Spark 4.1 to 4.3 may plan a union by its parts, then find them unequal or read them apart (SPARK-59141)
    "spark.sql.unionOutputPartitioning": "false",
}
"""What the steps rely on, whatever the site says; set on a session of the audit's own and on no other."""
REACHED_WITHIN_SECONDS = 10.0
SPARK_FAULTS = (PySparkException, Py4JError)
"""What Spark raises: errors that pyspark knows, and all others of Java, such as a context that is gone."""


class AuditSession:
    """The audit's own session; within it a session of the caller's, or one that is started and stopped.

    Raises:
        AuditUsageError: there is a session, and other settings are asked for than it has.
        EngineError: Spark cannot be started, with the reason.
    """

    def __init__(self, asked: SparkAsked) -> None:
        existing = SparkSession.getActiveSession()
        self._started = existing is None
        if existing is not None:
            _require_same(existing, asked)
            self.spark = existing.newSession()
        else:
            self.spark = _start(asked)
        for name, value in NEEDED.items():
            self.spark.conf.set(name, value)

    def close(self) -> None:
        """Give the workers back; a session of the caller's stays."""
        if self._started:
            with suppress(*SPARK_FAULTS):  # it may have ended by itself
                self.spark.stop()


def _require_same(session: SparkSession, asked: SparkAsked) -> None:
    conf = session.sparkContext.getConf()
    other = {name: value for name, value in asked.all.items() if conf.get(name) != value}
    if other:
        raise AuditUsageError(
            f"There is a Spark session already, and it has other settings: {', '.join(sorted(other))}.",
            do="Leave --master and --spark-conf out, or stop that session first.",
        )


def _start(asked: SparkAsked) -> SparkSession:
    _require_java()
    _require_hadoop(asked.all.get("spark.master", ""))
    _require_reachable(asked.all.get("spark.master", ""))
    given = SparkConf(loadDefaults=False)
    for name, value in asked.all.items():
        given.set(name, value)
    try:
        # only the running machine of Java has read spark-defaults.conf; asked before, everything looks unset
        SparkContext._ensure_initialized(conf=given)  # noqa: SLF001 - what SparkContext itself begins with
        conf = SparkConf()
        for name, value in asked.all.items():
            conf.set(name, value)
        for name, value in USUAL.items():
            conf.setIfMissing(name, value)
        if "spark.ui.showConsoleProgress" not in asked.all:
            # the shell in which Python finds Spark switches it on, whatever the site says; ours is shown
            conf.set("spark.ui.showConsoleProgress", "false")
        master = str(conf.get("spark.master"))
        if master.startswith("local"):
            for name, value in ON_ONE_MACHINE.items():
                conf.setIfMissing(name, value)
        _require_reachable(master)
        session = SparkSession.builder.config(conf=conf).getOrCreate()
    except (*SPARK_FAULTS, OSError, RuntimeError) as error:
        raise EngineError(
            f"Spark could not be started: {first_line(error)}",
            why="The audit was asked to run on Spark.",
            do="See what Spark printed above, and the site's spark-defaults.conf.",
        ) from error
    if master.startswith("local") and "PYSPARK_PYTHON" not in os.environ:
        # else the workers are whatever `python3` the caller's PATH has, which need not have pyarrow
        session.sparkContext.pythonExec = sys.executable
    return session


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    found = (Path(home) / "bin" / "java").is_file() if home else shutil.which("java") is not None
    if not found and "PYSPARK_GATEWAY_PORT" not in os.environ:
        raise EngineError(
            f"Spark could not be started: no java {f'in JAVA_HOME {home}' if home else 'on PATH'}.",
            why="The audit was asked to run on Spark, which needs Java 17 or newer.",
            do="Install Java (Debian: apt install default-jre-headless), or run with --engine duckdb.",
        )


def _require_hadoop(master: str) -> None:
    if master.startswith("yarn") and not {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys():
        raise AuditUsageError(
            "Spark cannot find YARN: neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set.",
            do="Set one to the folder with the site's core-site.xml and yarn-site.xml.",
        )


def _require_reachable(master: str) -> None:
    """Try the masters of a standalone cluster: Spark itself would try for minutes and then not say which."""
    if not master.startswith("spark://"):
        return
    errors = []
    for one in master.removeprefix("spark://").split(","):
        host, _, port = one.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_WITHIN_SECONDS):
                return
        except (OSError, ValueError) as error:
            errors.append(f"{one}: {error}")
    raise EngineError(
        f"No Spark master can be reached: {'; '.join(errors)}.",
        why="The audit was asked to run on that cluster.",
        do="Check --master and spark.master in spark-defaults.conf, and whether the master runs.",
    )


def first_line(error: Any) -> str:
    """Return the part of an error that says what happened, without the trace of Java."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("An error occurred while calling", "at ", ":"))]
    java = [line.removeprefix(": ") for line in lines if line.startswith(": ")]
    return (java or told or lines or [type(error).__name__])[0]
