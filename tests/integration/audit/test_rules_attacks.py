"""A rule is data: hostile ones are refused, and one that was never checked still reaches no file."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.examples import examples
from parts.hostile_rules import HARMLESS, HEAD, HOSTILE
from typer.testing import CliRunner

from renzheng.central.audit.duckdb_engine import DuckDBEngine
from renzheng.central.audit.errors import EngineError, OutOfTimeError
from renzheng.central.audit.rule_tables import misfits
from renzheng.central.audit.rulebook import PERIOD, readable
from renzheng.central.audit.rules_command import app
from renzheng.rules.dialect import bound, offences, placeholders
from renzheng.rules.errors import RulePackError
from renzheng.rules.pack import load_pack

SECRET = "TOP-SECRET-0123456789"
TABLES = readable()
DAYS = {"from_day": 20_514, "to_day": 20_544, "from_us": 0, "until_us": 0}


def refused(sql):
    found = list(offences(sql, TABLES))
    return found or sorted(placeholders(sql) - PERIOD)


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    path.write_text(f"token\n{SECRET}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """An engine with a bill, as it is when the rules run."""
    folder = tmp_path_factory.mktemp("scratch")
    with DuckDBEngine(folder, memory_limit="500MB", threads=1, reads=[folder / "tables"]) as found:
        found.table(
            "billed_lines",
            "SELECT 'H' AS institution_id, 'P' AS person_id, 'L' AS line_id, 'HD' AS item_code, "
            "CAST(1 AS DECIMAL(16,2)) AS amount, 0 AS service_time, 20520 AS service_day",
        )
        found.table("persons", "SELECT 'P' AS person_id, 'F' AS sex")
        found.table("known_caps", "SELECT 'week' AS period, 1 AS most")
        yield found


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 100


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_query_is_refused(name, secret):
    assert refused(HOSTILE[name].replace("{secret}", str(secret)))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_query_that_is_not_checked_reads_no_file(name, secret, engine):
    sql = HOSTILE[name].replace("{secret}", str(secret))
    for parameter, value in DAYS.items():
        sql = sql.replace(f"${parameter}", str(value))
    try:
        with engine.limited(5):
            found = str(engine.rows(sql).to_pylist())
    except EngineError:
        return
    assert SECRET not in found


@pytest.mark.parametrize("name", HARMLESS)
def test_its_neighbour_passes_and_runs(name, engine):
    assert not refused(HARMLESS[name])
    assert engine.rows(bound(HARMLESS[name], DAYS)).num_rows <= 1


@pytest.mark.parametrize(
    "name", ["quoted path", "read_text", "recursive", "unknown table", "two statements", "unknown parameter"]
)
def test_the_command_refuses_it(name, secret, tmp_path):
    path = tmp_path / "a-rule.sql"
    path.write_text(HEAD + HOSTILE[name].replace("{secret}", str(secret)), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(path)])
    assert isinstance(result.exception, RulePackError)
    assert "a-rule.sql" in result.exception.what


def test_the_command_passes_its_neighbour(tmp_path):
    path = tmp_path / "a-rule.sql"
    path.write_text(HEAD + HARMLESS["a join"], encoding="utf-8")
    assert CliRunner().invoke(app, ["check", "--rules", str(path)]).exit_code == 0


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        (HARMLESS["plain"].replace("l.amount", "l.sum_of_it"), "sum_of_it"),
        (HARMLESS["plain"].replace("l.amount, ", ""), "yields no amount"),
        (HARMLESS["plain"].replace("AS leak", "AS other"), "explanation names leak"),
        (HARMLESS["plain"].replace("[l.line_id]", "l.line_id"), "line_ids must be list of texts"),
    ],
)
def test_a_query_that_does_not_fit_the_tables_is_named(sql, problem, tmp_path):
    path = tmp_path / "a-rule.sql"
    path.write_text(HEAD + sql, encoding="utf-8")
    (found,) = misfits(load_pack(path).for_region(None))
    assert found.startswith("a-rule.sql: ")
    assert problem in found


@pytest.mark.parametrize(
    "statement",
    [
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "SET python_enable_replacements = true",
        "RESET enable_external_access",
        "SET autoinstall_known_extensions = true",
        "SET temp_directory = '/tmp'",
        "SET memory_limit = '900GB'",
        "ATTACH '/tmp/other.duckdb' AS other",
        "INSTALL httpfs",
        "COPY (SELECT 1) TO '/tmp/renzheng-attack.csv'",
    ],
)
def test_the_engine_is_locked(engine, statement):
    with pytest.raises(EngineError):
        engine._run(statement)


def test_a_link_in_the_tables_is_followed_only_where_it_was_there_before(secret, tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "persons.csv").symlink_to(secret)
    with DuckDBEngine(tmp_path, memory_limit="500MB", threads=1, reads=[tables]) as engine:
        assert engine.rows(f"FROM '{tables}/persons.csv'").num_rows == 1
        (tables / "late.csv").symlink_to("/etc/hostname")
        with pytest.raises(EngineError):
            engine.rows(f"FROM read_text('{tables}/late.csv')")


def test_what_runs_away_is_interrupted_and_the_engine_goes_on(engine):
    began = dt.datetime.now(tz=dt.UTC)
    endless = "SELECT sum(a.range * b.range % 7) AS x FROM range(100000000) a, range(100000000) b"
    with pytest.raises(OutOfTimeError), engine.limited(0.5):
        engine.rows(endless)
    assert (dt.datetime.now(tz=dt.UTC) - began).total_seconds() < 60
    assert engine.rows("SELECT 1 AS x").num_rows == 1


RULES = {rule.id: rule.sql for rule in load_pack().rules.values()}
FRAGMENTS = [
    "(SELECT max(token) FROM '/etc/passwd')",
    "read_text('/etc/passwd')",
    "getenv('HOME')",
    '(SELECT 1 FROM "/etc/passwd")',
    "query('SELECT 1')",
    "(SELECT 1 FROM salaries)",
    "(WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT n FROM r)",
]
SPACES = [" ", "\n", "\t", "/**/", "/* ' */", '-- "\n']


@st.composite
def grafts(draw):
    """A rule of the pack with a hostile expression in the place of one of its columns."""
    sql = RULES[draw(st.sampled_from(sorted(RULES)))]
    gap = draw(st.sampled_from(SPACES))
    words = [at for at in range(len(sql)) if sql.startswith(("institution_id", "person_id"), at)]
    inside = [at for at in words if sql[max(0, at - 7) : at].upper().endswith(("SELECT ", "WHERE ", "AND "))]
    at = draw(st.sampled_from(inside or [None]))
    fragment = draw(st.sampled_from(FRAGMENTS))
    if at is None:
        return sql.replace("SELECT", f"SELECT{gap}{fragment} AS leak,", 1)
    tail = "AS leak, " if "SELECT" in sql[at - 7 : at] else "= 1 AND "
    return f"{sql[:at]}{gap}{fragment}{gap}{tail}{sql[at:]}"


@settings(max_examples=examples(80), deadline=None)
@given(grafts())
def test_a_graft_into_a_rule_of_the_pack_is_refused(sql):
    assert refused(sql)


@settings(max_examples=examples(80), deadline=None)
@given(st.text(max_size=80), st.sampled_from(sorted(RULES)), st.integers(0, 5000))
def test_any_text_anywhere_in_a_rule_is_refused_or_still_reads_known_tables_only(text, name, place):
    sql = RULES[name]
    sql = sql[: place % len(sql)] + text + sql[place % len(sql) :]
    if not refused(sql):
        written = bound(sql)
        assert not list(offences(written, TABLES))
        assert bound(written) == written
