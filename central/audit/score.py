"""Score an audit against the truth: whom it accused wrongly, what it found, what it could not tell."""

# ruff: noqa: S608 - paths are quoted

from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from renzheng.central.audit.connection import connect
from renzheng.central.audit.errors import TablesUnusableError
from renzheng.central.audit.readback import read_summary
from renzheng.central.audit.request import parquet_of
from renzheng.central.audit.sources import find_sources, quoted
from renzheng.common.shares import wilson

GENUINE = "genuine"


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval; without any trial there is no share, and the interval is 0 to 1."""

    hits: int
    trials: int
    share: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Kind:
    """How one kind of fraud fared: recall over the lines where the evidence allows to contradict."""

    lines: int
    allowed: Share
    yuan_found: str
    yuan_missed: str


@dataclass(frozen=True)
class Score:
    """The score of one run.

    Args:
        false_accusation: genuine lines called contradicted, over all genuine lines in scope.
        kinds: by kind of fraud.
        insufficient: share of all lines by reason.
        genuine_supported: genuine lines called supported, where the evidence allows it.
        agreement: lines on which the verdict is what the evidence allows.
        without_verdict: lines of the truth that have no verdict; there should be none.
    """

    false_accusation: Share
    genuine_supported: Share
    kinds: dict[str, Kind]
    insufficient: dict[str, float]
    agreement: Share
    without_verdict: int
    yuan_genuine_accused: str

    def as_json(self) -> dict[str, Any]:
        """Lay the score out for JSON."""
        return asdict(self)


def share_of(hits: int, trials: int) -> Share:
    """Return a share with its 95 % interval."""
    return Share(hits, trials, hits / trials if trials else None, *wilson(hits, trials))


def score(verdicts: Path, truth: Path, tables: Path | None = None) -> Score:
    """Score the output in `verdicts` against a truth file.

    It has the columns institution_id, line_id, truth and allows. Amounts come from the claim lines of
    `tables`, by default the folder that the audit read.

    Raises:
        TablesUnusableError: there is no finished audit, or the truth cannot be read.
    """
    summary = read_summary(verdicts)
    with connect() as connection:
        _open(connection, verdicts, truth, tables or Path(summary["tables"]))
        kinds = [row[0] for row in _rows(connection, "SELECT DISTINCT truth FROM judged ORDER BY truth")]
        total = _one(connection, "SELECT count(*) FROM judged")
        reasons = _rows(
            connection,
            "SELECT reason, count(*) FROM judged WHERE verdict = 'insufficient' "
            "GROUP BY reason ORDER BY reason",
        )
        return Score(
            false_accusation=_share(connection, f"truth = '{GENUINE}'", "verdict = 'contradicted'"),
            genuine_supported=_share(
                connection, f"truth = '{GENUINE}' AND allows = 'supported'", "verdict = 'supported'"
            ),
            kinds={kind: _kind(connection, kind) for kind in kinds if kind != GENUINE},
            insufficient={reason: lines / total for reason, lines in reasons},
            agreement=_share(connection, "true", "verdict = allows"),
            without_verdict=_one(
                connection, "SELECT count(*) FROM truth ANTI JOIN verdicts USING (institution_id, line_id)"
            ),
            yuan_genuine_accused=_yuan(connection, f"truth = '{GENUINE}' AND verdict = 'contradicted'"),
        )


def _open(connection: duckdb.DuckDBPyConnection, verdicts: Path, truth: Path, tables: Path) -> None:
    path = quoted(parquet_of(verdicts / "line_verdicts.parquet"))
    try:
        connection.execute(f"CREATE VIEW verdicts AS SELECT * FROM read_parquet('{path}')")
        connection.execute(
            "CREATE VIEW truth AS SELECT institution_id, line_id, truth, allows "
            f"FROM read_parquet('{quoted(truth)}')"
        )
    except duckdb.Error as error:
        raise TablesUnusableError(
            f"The truth in {truth} cannot be read: {str(error).splitlines()[0]}",
            do="Give a Parquet file with the columns institution_id, line_id, truth and allows.",
        ) from error
    lines = find_sources(tables)["claim_lines"].select if tables.is_dir() else None
    amounts = (
        f"SELECT institution_id, line_id, amount FROM ({lines})"
        if lines
        else "SELECT '' AS institution_id, '' AS line_id, 0 AS amount"
    )
    connection.execute(
        "CREATE TABLE judged AS "
        "SELECT v.verdict, v.reason, t.truth, t.allows, coalesce(a.amount, 0) AS amount "
        "FROM verdicts v JOIN truth t USING (institution_id, line_id) "
        f"LEFT JOIN ({amounts}) a USING (institution_id, line_id)"
    )


def _kind(connection: duckdb.DuckDBPyConnection, kind: str) -> Kind:
    mine = f"truth = '{kind.replace(chr(39), chr(39) * 2)}'"
    return Kind(
        lines=_one(connection, f"SELECT count(*) FROM judged WHERE {mine}"),
        allowed=_share(connection, f"{mine} AND allows = 'contradicted'", "verdict = 'contradicted'"),
        yuan_found=_yuan(connection, f"{mine} AND verdict = 'contradicted'"),
        yuan_missed=_yuan(connection, f"{mine} AND verdict <> 'contradicted'"),
    )


def _share(connection: duckdb.DuckDBPyConnection, among: str, hit: str) -> Share:
    trials, hits = _rows(
        connection, f"SELECT count(*), count(*) FILTER (WHERE {hit}) FROM judged WHERE {among}"
    )[0]
    return share_of(hits, trials)


def _yuan(connection: duckdb.DuckDBPyConnection, among: str) -> str:
    (total,) = _rows(connection, f"SELECT coalesce(sum(amount), 0) FROM judged WHERE {among}")[0]
    return str(Decimal(total).quantize(Decimal("0.01")))


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(_rows(connection, sql)[0][0])


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return list(connection.execute(sql).fetchall())
