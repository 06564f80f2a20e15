"""Files wherever Spark itself reads and writes them: `hdfs://`, `s3a://`, `webhdfs://`, `file://` and others.

Through Hadoop's file systems, so with the addresses and credentials that the site gave Spark.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from renzheng.central.audit.errors import EngineError
from renzheng.central.audit.spark_session import SPARK_FAULTS, first_line

PIECE = 4 * 2**20
"""Bytes that go between Python and Java at a time."""


@dataclass(frozen=True)
class Entry:
    """One file of a folder: its address, its name, its length and when it was written."""

    address: str
    name: str
    size: int
    modified: int


class HadoopFiles:
    """The file systems of a Spark session; every address is a URI."""

    def __init__(self, spark: SparkSession) -> None:
        self._conf = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - there is no other way
        self._java: Any = spark.sparkContext._jvm  # noqa: SLF001

    def is_file(self, address: str) -> bool:
        """Tell whether there is a file."""
        with _told(address):
            path, system = self._at(address)
            return bool(system.exists(path)) and bool(system.getFileStatus(path).isFile())

    def is_folder(self, address: str) -> bool:
        """Tell whether there is a folder."""
        with _told(address):
            path, system = self._at(address)
            return bool(system.exists(path)) and bool(system.getFileStatus(path).isDirectory())

    def files(self, folder: str) -> list[Entry]:
        """List all files below a folder in the order of their addresses, hidden ones left out."""
        found = []
        with _told(folder):
            path, system = self._at(folder)
            if not system.exists(path):
                return []
            top = str(system.getFileStatus(path).getPath().toString()).rstrip("/")
            waiting = system.listFiles(path, True)  # noqa: FBT003 - of Java
            while waiting.hasNext():
                status = waiting.next()
                address = str(status.getPath().toString())
                below = address.removeprefix(top + "/").split("/")
                if not any(part.startswith((".", "_")) for part in below):
                    entry = Entry(address, below[-1], status.getLen(), status.getModificationTime())
                    found.append(entry)
        return sorted(found, key=lambda entry: entry.address)

    def names(self, folder: str) -> list[str]:
        """List what is in a folder, files and folders."""
        with _told(folder):
            path, system = self._at(folder)
            return sorted(str(status.getPath().getName()) for status in system.listStatus(path))

    def read(self, address: str) -> bytes:
        """Read a whole small file."""
        with _told(address):
            path, system = self._at(address)
            stream = system.open(path)
            try:
                return bytes(self._java.org.apache.commons.io.IOUtils.toByteArray(stream))
            finally:
                stream.close()

    def write(self, address: str, content: bytes) -> None:
        """Write a file, in place of one that is there."""
        with _told(address):
            path, system = self._at(address)
            stream = system.create(path, True)  # noqa: FBT003 - of Java
            try:
                for begin in range(0, len(content), PIECE):
                    stream.write(content[begin : begin + PIECE])
            finally:
                stream.close()

    def write_whole(self, address: str, content: bytes) -> None:
        """Write a file that is there whole or not at all, whenever this process is killed."""
        folder, name = address.rsplit("/", 1)
        self.write(f"{folder}/.{name}", content)
        self.move(f"{folder}/.{name}", address)

    def delete(self, address: str) -> None:
        """Delete a file or a folder with all that is in it; nothing happens where there is none."""
        with _told(address):
            path, system = self._at(address)
            system.delete(path, True)  # noqa: FBT003 - of Java

    def move(self, address: str, to: str) -> None:
        """Move a file or folder, in place of one that is there."""
        self.delete(to)
        with _told(address):
            path, system = self._at(address)
            if not system.rename(path, self._at(to)[0]):
                raise EngineError(f"{address} could not be moved to {to}.")

    def make(self, folder: str) -> None:
        """Make a folder."""
        with _told(folder):
            path, system = self._at(folder)
            system.mkdirs(path)

    def upload(self, local: Path, address: str) -> None:
        """Copy a file of this machine."""
        self._copy(f"file://{local.resolve()}", address)

    def download(self, address: str, local: Path) -> None:
        """Copy a file to this machine."""
        self._copy(address, f"file://{local.resolve()}")

    def _copy(self, address: str, to: str) -> None:
        with _told(address):
            (path, system), (goal, goal_system) = self._at(address), self._at(to)
            copy = self._java.org.apache.hadoop.fs.FileUtil.copy
            copy(system, path, goal_system, goal, False, True, self._conf)  # noqa: FBT003 - of Java

    def _at(self, address: str) -> tuple[Any, Any]:
        path = self._java.org.apache.hadoop.fs.Path(address)
        return path, path.getFileSystem(self._conf)


@contextmanager
def _told(address: str) -> Iterator[None]:
    try:
        yield
    except SPARK_FAULTS as error:
        raise EngineError(
            f"{address} cannot be read or written: {first_line(error)}",
            why="The audit stopped; nothing was put in place of an earlier result.",
            do="Check the address, the rights on it, and what Spark needs for such an address (its jars).",
        ) from error
