"""The bills of materials name what the lock files name, and the same files give the same bytes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOL = Path(sys.executable).with_name("cyclonedx-py")
FILES = {"renzheng.cdx.json": "requirements.lock", "renzheng-dev.cdx.json": "requirements-dev.lock"}


def written(out, *options, **environment):
    command = [ROOT / "deploy" / "setup" / "sbom.sh", TOOL, out, *options]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, **environment})
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def bills(tmp_path_factory):
    return written(tmp_path_factory.mktemp("sbom"), "--no-validate")


def locked(name):
    """Name and version of each package with the hashes of its files."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"(?m)^([a-z0-9.-]+)==([^ ;]+)(.*(?:\n .*)*)", text)
    return {(package, version): set(re.findall(r"sha256:(\w+)", rest)) for package, version, rest in found}


@pytest.mark.parametrize(("name", "lock"), FILES.items())
def test_each_locked_package_is_in_the_bill_with_version_address_and_hashes(bills, name, lock):
    bill = json.loads(bills[name])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    packages = {
        (one["name"], one["version"]): {
            held["content"] for place in one["externalReferences"] for held in place["hashes"]
        }
        for one in bill["components"]
    }
    assert packages == locked(lock)
    assert len(packages) > 50
    assert all(one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}" for one in bill["components"])


def test_the_bill_is_of_this_product(bills):
    product = json.loads(bills["renzheng.cdx.json"])["metadata"]["component"]
    assert (product["name"], product["type"]) == ("renzheng", "application")
    assert product["licenses"][0]["license"]["id"] == "Apache-2.0"


def test_the_same_files_give_the_same_bytes_whatever_the_machine_is_set_to(bills, tmp_path):
    again = written(
        tmp_path, "--no-validate", SOURCE_DATE_EPOCH="1000000000",
        PIP_INDEX_URL="https://mirror.invalid/simple", TZ="Asia/Shanghai", PYTHONHASHSEED="7",
    )  # fmt: skip
    assert again == bills


def test_a_lock_file_that_cannot_be_read_ends_in_an_error(tmp_path):
    script = ROOT / "deploy" / "setup" / "sbom.sh"
    ended = subprocess.run([script, TOOL, tmp_path / "out"], cwd=tmp_path, capture_output=True, check=False)
    assert ended.returncode != 0
    assert b"pyproject.toml" in ended.stderr


@pytest.mark.long
def test_the_bills_hold_to_the_schema_of_the_format(bills, tmp_path):
    assert written(tmp_path, "--validate") == bills
