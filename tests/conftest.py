"""What every test shares: real parts are there, or the test says loudly why not."""

import gc
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings
from parts.examples import LONG, examples

from renzheng.bench.ward.server import PACKAGES, server_is_here

# a busy machine fails no test, and whoever changed nothing gets no other examples; `make long` draws new ones
settings.register_profile(
    "renzheng",
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not LONG,
    database=None,
)
settings.load_profile("renzheng")
os.environ["RENZHENG_LANG"] = "en"  # what a test expects of the command line, whatever the developer speaks
# the same engine as Chromium's: it draws no window around the page, which takes half of the processor's time
os.environ.setdefault("RENZHENG_CHROMIUM", shutil.which("chromium-headless-shell") or "/usr/bin/chromium")

STORES = ("sqlite", "postgresql")
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
REAL_PARTS: Mapping[str, tuple[str, str]] = {
    "chromium": ("chromium", "chromium"),
    "mosquitto": ("mosquitto", "mosquitto"),
    "spark": ("java", "default-jre-headless"),
    "ffmpeg": ("ffmpeg", "ffmpeg"),
    "espeak": ("espeak-ng", "espeak-ng"),
    "strace": ("strace", "strace"),
}


def missing_part(marker: str) -> str | None:
    """Name the Debian package that a test with this marker needs and the machine lacks."""
    if marker == "postgresql":
        return None if any(Path("/usr/lib/postgresql").glob("*/bin/postgres")) else "postgresql"
    if marker == "rtsp":
        return None if server_is_here() else PACKAGES
    if marker in REAL_PARTS:
        program, package = REAL_PARTS[marker]
        return None if shutil.which(program, path=SYSTEM_PATH) else package
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail in CI, skip loudly elsewhere, when a real part is missing."""
    packages = [package for marker in item.iter_markers() if (package := missing_part(marker.name))]
    if packages:
        names = " ".join(packages)
        message = f"needs {names}: sudo apt-get install -y --no-install-recommends {names}"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave `long` tests out unless they are asked for with -m, and of a test of both stores one of them."""
    if config.option.markexpr:
        return
    short = [item for item in items if not item.get_closest_marker("long")]
    left_out = {item for item in items if item.get_closest_marker("long")} | _on_the_other_store(short)
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Keep what was collected, and stays to the end, out of every further search for garbage."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let all be found again: what an extension counts must be gone at the end."""
    gc.unfreeze()


def _on_the_other_store(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Choose by its name the store on which each test of both runs; `make long` runs it on both."""
    on_each: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        told = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if told.get("database_url") in STORES:
            on_each[item.nodeid.replace(told["database_url"], "store")].append(item)
    both = [found for found in on_each.values() if len(found) == len(STORES)]
    return {found[crc32(found[0].name.partition("[")[0].encode()) % len(STORES)] for found in both}
