"""Each role's wheel alone in a clean environment: what belongs starts, what does not says what to install.

Needs the registry of packages, as `make setup` does; a few minutes and two gigabytes.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
ROOT = Path(__file__).resolve().parents[3]
ROLES = ("edge", "central")
IMPORT_EACH = """
import importlib, json, pkgutil, sys
failed = {}
for root in sys.argv[1:]:
    package = importlib.import_module(root)
    for found in pkgutil.walk_packages(package.__path__, root + "."):
        if ".migrations." in found.name:
            continue  # Alembic runs these
        try:
            importlib.import_module(found.name)
        except ImportError as error:
            failed[found.name] = str(error)
print(json.dumps(failed))
"""
OWN = {"edge": ("models", "edge"), "central": ("rules", "central")}
NEEDS_SPARK = {
    "renzheng.central.audit.hadoop_files",
    "renzheng.central.audit.spark_engine",
    "renzheng.central.audit.spark_sources",
    "renzheng.central.audit.spark_run",
    "renzheng.central.audit.spark_session",
}


def pip(python, *arguments):
    command = [python, "-W", "ignore", "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Both wheels, from the files that git knows, built with the packages that are here."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheels")
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    for name in filter(None, files.stdout.split("\0")):
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            target.symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file():
            target.write_bytes((ROOT / name).read_bytes())
    for folder in (tree, tree / "instruments"):
        pip(sys.executable, "wheel", "--no-deps", "--no-build-isolation", "-w", str(out), str(folder))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    names = (f"renzheng-{version}-py3-none-any.whl", f"renzheng_instruments-{version}-py3-none-any.whl")
    assert {path.name for path in out.iterdir()} == set(names)
    return [out / name for name in names]


@pytest.fixture(scope="module", params=ROLES)
def role(request, wheels, tmp_path_factory):
    """One role, its environment's Python, and a home that is empty."""
    folder = tmp_path_factory.mktemp(request.param)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    constraints = folder / "constraints.txt"
    locked = (ROOT / "requirements.lock").read_text().splitlines()
    constraints.write_text("\n".join(line.rstrip(" \\") for line in locked if line[:1].isalnum()))
    python = folder / "venv" / "bin" / "python"
    pip(python, "install", "-c", str(constraints), f"{wheels[0]}[{request.param}]")
    return request.param, python, folder


def run(python, folder, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200"}
    return subprocess.run(
        [python.with_name("renzheng"), *arguments],
        check=False, capture_output=True, text=True, env=environment, cwd=folder, timeout=600,
    )  # fmt: skip


def test_every_module_of_a_role_is_imported_with_its_extra_alone(role):
    name, python, folder = role
    packages = [f"renzheng.{one}" for one in ("contracts", "common", *OWN[name])]
    done = subprocess.run(
        [python, "-W", "ignore", "-c", IMPORT_EACH, *packages],
        capture_output=True, text=True, cwd=folder, check=True,
    )  # fmt: skip
    failed = json.loads(done.stdout.splitlines()[-1])
    if name == "central":
        assert set(failed) <= NEEDS_SPARK
        failed = {module: why for module, why in failed.items() if "'py" not in why}  # pyspark, py4j
    assert failed == {}


BELONGS = {
    "edge": [
        ["edge", "--help"], ["edge", "ward", "--help"], ["edge", "bedside", "--help"],
        ["edge", "counter", "--help"], ["edge", "machine", "--help"],
        ["edge", "log", "--help"], ["device", "join", "--help"], ["models", "list"],
    ],
    "central": [
        ["central", "--help"], ["central", "log", "--help"], ["central", "init", "--dir", "site"],
        ["claims", "--help"], ["audit", "--help"], ["draw", "--help"], ["rules", "check"],
        ["device", "provision", "--help"],
    ],
}  # fmt: skip


def test_what_belongs_to_a_role_starts(role):
    name, python, folder = role
    for asked in [["--version"], ["--help"], ["device", "--help"], *BELONGS[name]]:
        done = run(python, folder, *asked)
        assert done.returncode == 0, (asked, done.stderr)
        assert done.stdout.strip(), asked
        assert "Traceback" not in done.stderr


FOREIGN = {
    "edge": {
        ("central", "--help"): "central", ("claims", "--help"): "central", ("audit", "--help"): "central",
        ("rules", "--help"): "central", ("device", "provision", "x"): "central",
    },
    "central": {
        ("edge", "--help"): "edge", ("edge", "ward", "--help"): "edge", ("device", "join", "x"): "edge",
        ("models", "list"): "edge",
    },
}  # fmt: skip


def test_what_does_not_belong_says_which_extra_brings_it(role):
    name, python, folder = role
    for asked, extra in FOREIGN[name].items():
        done = run(python, folder, *asked)
        lines = done.stderr.strip().splitlines()
        assert (done.returncode, len(lines)) == (2, 3), (asked, done.stdout, done.stderr)
        assert "needs the package" in lines[0]
        assert lines[2].endswith(f"pip install 'renzheng[{extra}]'"), (asked, lines)


def test_instruments_are_in_no_roles_wheel_and_say_where_they_are(role):
    _, python, folder = role
    for asked in (
        ["demo"],
        ["simulate", "county", "--out", "x"],
        ["bench", "kiosk"],
        ["models", "bench", "--images", "."],
    ):
        done = run(python, folder, *asked)
        lines = done.stderr.strip().splitlines()
        assert (done.returncode, len(lines)) == (2, 3), (asked, done.stdout, done.stderr)
        assert "renzheng_instruments" in lines[2]


def test_the_instruments_wheel_adds_them(wheels, role):
    name, python, folder = role
    pip(python, "install", "--no-deps", str(wheels[1]))
    done = run(python, folder, "simulate", "county", "--out", "tables", "--days", "3", "--people", "100")
    if name == "central":
        assert done.returncode == 0, done.stderr
        assert (folder / "tables" / "truth.parquet").exists()
    else:
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 3)
        assert done.stderr.strip().endswith("'renzheng[central]'")
