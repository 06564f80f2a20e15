"""A standalone Spark cluster on this machine: a master, workers, free ports; none has this package."""

import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark
import pytest

SPARK = Path(pyspark.__file__).parent
CHEAP_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
SITE = {
    "spark.executor.memory": "1g",
    "spark.executor.cores": "1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    # compiling code costs more than so few rows
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    # for two partitions of few rows an exchange is cheaper than a broadcast, which is a job of its own
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.broadcast.compress": "false",
    "spark.shuffle.compress": "false",
    "spark.sql.parquet.enableVectorizedReader": "false",
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    "spark.driver.extraJavaOptions": CHEAP_JAVA,
    "spark.executor.extraJavaOptions": CHEAP_JAVA,
}
"""What the site of the tests has in its spark-defaults.conf."""


@dataclass(frozen=True)
class Cluster:
    """The master's URL, and the folder with the site's spark-defaults.conf."""

    master: str
    conf_dir: Path


@contextmanager
def spark_cluster(folder, workers=2):
    """Run a master, and workers with two executors in all, each of one core."""
    running = []
    try:
        master_log = _started(running, folder, "master", "master.Master")
        master = _waited(master_log, r"Starting Spark master at (spark://\S+)")[0]
        each = 2 // workers
        for number in range(workers):
            name = f"worker-{number}"
            options = ["--cores", str(each), "--memory", f"{each}g", "--work-dir", str(folder / name), master]
            _started(running, folder, name, "worker.Worker", *options)
        _waited(master_log, r"Registering worker (\S+)", times=workers)
        yield Cluster(master, _site(folder, master))
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


@contextmanager
def small_cluster(folder):
    """Run master and worker within the driver's Java, and one executor of two cores in a Java of its own."""
    home = folder / "home"
    home.mkdir()
    for each in SPARK.iterdir():
        (home / each.name).symlink_to(each)  # the worker's own folder comes beside them
    master = "local-cluster[1,2,1024]"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_HOME", str(home))
        yield Cluster(master, _site(folder, master, {"spark.executor.cores": "2"}))


def _started(running, folder, name, role, *options):
    log = folder / f"{name}.log"
    command = [SPARK / "bin" / "spark-class", f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1"]
    command += ["--port", "0", "--webui-port", "0", *options]
    environment = {
        **os.environ,
        "SPARK_HOME": str(SPARK),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": CHEAP_JAVA,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with log.open("wb") as out:
        running.append(subprocess.Popen(command, stdout=out, stderr=out, env=environment))
    return log


def _waited(log, pattern, times=1):
    """Wait until a log has a line so many times; the test's own time limit ends it."""
    while len(found := re.findall(pattern, log.read_text(errors="replace"))) < times:
        time.sleep(0.1)
    return found


def _site(folder, master, more=None):
    """Write the site's settings; on its workers this package cannot be imported."""
    package = folder / "workers" / "renzheng"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('the workers do not have this package')\n")
    settings = {"spark.master": master, "spark.executorEnv.PYTHONPATH": str(package.parent), **SITE}
    settings |= more or {}
    return _written(folder / "conf", settings)


def _written(conf, settings):
    conf.mkdir()
    lines = [f"{name} {value}\n" for name, value in settings.items()]
    (conf / "spark-defaults.conf").write_text("".join(lines))
    return conf
