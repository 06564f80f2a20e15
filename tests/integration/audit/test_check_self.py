"""`renzheng check self`: files and a pack in, the audit's tables and report out, without a server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from parts.command_line import run
from parts.libraries import HD, HP, pairs

from renzheng.central.audit.readback import read_findings
from renzheng.contracts import keys
from renzheng.rules.knowledge.packfile import read_pack, write_pack

HEADS = (
    "line_id,institution_id,visit_id,person_id,visit_type,item_code,item_name,service_time,quantity,amount,"
    "reverses_line_id"
)
LINES = f"""{HEADS}
L1,H1,V1,P1,outpatient,{HP},血液灌流,2026-03-04T10:00:00+08:00,1,700,
L2,H1,V1,P1,outpatient,{HD},血液透析,2026-03-04T15:00:00+08:00,1,400,
L3,H1,V2,P2,outpatient,{HP},血液灌流,2026-03-04T10:00:00+08:00,1,700,
L4,H1,V2,P2,outpatient,{HD},血液透析,2026-03-05T10:00:00+08:00,1,400,
L5,H1,V3,P3,outpatient,UNKNOWN-1,别的,2026-03-06T10:00:00+08:00,1,5,
"""
WITHOUT_SERVER = """
import sys
for name in ("sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "paho", "psycopg", "argon2"):
    sys.modules[name] = None
OF_CENTRAL = (
    "access", "adt", "archive", "attempts", "backup", "cases", "draw", "ingest", "lists", "main", "privacy",
    "rate", "settings", "site", "store.database", "store.schema", "verify", "watch", "web",
)
for name in OF_CENTRAL:
    sys.modules[f"renzheng.central.{name}"] = None
import socket
def refused(*_, **__):
    raise AssertionError("nothing is asked of a network")
socket.socket.connect = refused
from renzheng.deploy.command import main
sys.argv = ["renzheng", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    folder = tmp_path_factory.mktemp("month")
    (folder / "lines.csv").write_text(LINES, encoding="utf-8")
    run("knowledge", "import", pairs(folder / "第七批.xlsx"), "--out", folder / "pack")
    return folder


def asked(folder, out="out", *more):
    return ["check", "self", "--lines", folder / "lines.csv", "--format", "csv", "--pack", folder / "pack",
            "--out", folder / out, *more]  # fmt: skip


def test_the_month_is_checked_where_no_server_and_no_network_are(month):
    words = [*map(str, asked(month)), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVER, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["from"], told["to"], told["pack_signed"]) == ("2026-03-04", "2026-03-06", False)
    found = [one for one in read_findings(month / "out") if "point" in one.parameters]
    assert [(one.line_ids, one.parameters["point"]) for one in found] == [(("L2",), f"7-pair-{HP}-{HD}")]
    assert "L2" in Path(told["report"]).read_text(encoding="utf-8")
    assert (month / "out" / "summary.json").exists()


def test_again_replaces_the_check_before_and_nothing_else(month):
    (month / "own" / "tables").mkdir(parents=True)
    assert "no self-check has made" in run(*asked(month, "own"), status=1)
    for _ in range(2):
        said = run(*asked(month, "again"))
    assert "not signed" in said
    assert "L2" in said


def test_a_key_asks_for_its_signature(month):
    key, other = keys.generate_key(), month / "other.pem"
    other.write_text(keys.public_pem(keys.generate_key()), encoding="utf-8")
    write_pack(read_pack(month / "pack"), month / "pack", key)
    assert "not signed by a known key" in run(*asked(month, "signed", "--key", other), status=1)
