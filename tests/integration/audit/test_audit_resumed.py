"""A resumable audit whose process is killed goes on with the step it was at, and says the same in the end."""

import datetime as dt

import pytest
from parts.killed import steps_until

from renzheng.central.audit.readback import read_findings, read_verdicts
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.rule_examples import write_tables
from renzheng.central.audit.run import run_audit
from renzheng.central.audit.steps import STEPS
from renzheng.rules.examples import cases
from renzheng.rules.pack import load_pack

RULES = ("manual-share", "weekly-cap")
FIRST, LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
AUDIT = """
import datetime as dt
from renzheng.central.audit.request import AuditRequest
from renzheng.central.audit.run import run_audit

first, last = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
run_audit(AuditRequest(Path({tables!r}), first, last, Path({out!r}), only={rules!r}, resumable=True), tell)
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder, list(cases(list(load_pack().rules.values()))))
    return folder


@pytest.fixture(scope="module")
def unbroken(tables, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken")
    run_audit(AuditRequest(tables, FIRST, LAST, out, only=RULES))
    return list(read_verdicts(out)), list(read_findings(out))


@pytest.mark.parametrize(
    "killed_at",
    [
        ("coverage_days", "weekly-cap"),
        pytest.param(
            ("load", "sign_outs", "coverage_days", "bed_elsewhere", "write", "weekly-cap"),
            marks=pytest.mark.long,
        ),
    ],
)
def test_it_goes_on_after_every_kill(tables, unbroken, tmp_path, killed_at):
    out = tmp_path / "out"
    work = AUDIT.format(tables=str(tables), out=str(out), rules=RULES)
    done_before = set()
    for stop in killed_at:
        steps = steps_until(stop, work)
        assert not done_before & set(steps)
        assert not (out / "summary.json").exists()
        done_before |= set(steps[:-1]) & set(STEPS)
    assert done_before == set(STEPS)
    steps = steps_until(None, work)
    assert not done_before & set(steps)
    assert (list(read_verdicts(out)), list(read_findings(out))) == unbroken
    assert sorted(path.name for path in out.iterdir()) == [
        "day_verdicts.parquet",
        "findings.parquet",
        "ledger.parquet",
        "line_verdicts.parquet",
        "rejected",
        "summary.json",
    ]


def test_another_request_begins_again(tables, unbroken, tmp_path):
    out = tmp_path / "out"
    steps_until("bed_elsewhere", AUDIT.format(tables=str(tables), out=str(out), rules=RULES))
    told = []
    other = AuditRequest(tables, FIRST, LAST - dt.timedelta(days=1), out, only=RULES, resumable=True)
    run_audit(other, lambda step, *_: told.append(step))
    assert "reversals" in told
    run_audit(AuditRequest(tables, FIRST, LAST, out, only=RULES, resumable=True))
    assert (list(read_verdicts(out)), list(read_findings(out))) == unbroken
