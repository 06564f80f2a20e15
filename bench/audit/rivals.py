"""The same verdicts by SQLite and by pandas, for the benchmark: each written the way its users would.

They cover what the benchmark's lake holds: one sign-in and sign-out a session, a machine log, one line a
session, stays, spot checks, leaves, presences, coverage, deaths; not all of the audit. On that lake they must
give each line the reason that the audit gives it; the benchmark checks that before it reports a time.

Run as a module: python -m renzheng.bench.audit.rivals sqlite|pandas TABLES OUT.parquet
"""

# ruff: noqa: S608 - SQL is put together from the names of tables

import importlib
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

DAY_S = 86_400
CHINA_S = 8 * 3600
NEEDED = {
    "claim_lines": ["line_id", "institution_id", "visit_id", "person_id", "item_code", "service_time"],
    "persons": ["person_id", "death_date"],
    "prescriptions": ["person_id", "institution_id", "session_minutes"],
    "stays": ["visit_id", "institution_id", "admitted_at", "discharged_at"],
    "leaves": ["institution_id", "person_id", "left_at", "returned_at"],
    "attendance": ["institution_id", "person_id", "event_type", "purpose", "occurred_at", "outcome", "pad"],
    "spot_checks": ["institution_id", "person_id", "answered_at", "result"],
    "coverage": ["institution_id", "purpose", "from_at", "to_at"],
    "machine_sessions": ["institution_id", "person_id", "started_at", "ended_at"],
}

_SQLITE = """
CREATE INDEX a_person ON attendance (person_id, institution_id, event_type, occurred_at);
CREATE INDEX m_person ON machine_sessions (person_id, institution_id, started_at);
CREATE INDEX s_visit ON stays (visit_id, institution_id);
CREATE INDEX c_person ON spot_checks (person_id, institution_id);
CREATE INDEX l_person ON leaves (person_id, institution_id);
CREATE INDEX p_person ON persons (person_id) WHERE death_date IS NOT NULL;
CREATE INDEX r_person ON prescriptions (person_id, institution_id);
CREATE TABLE covered AS
WITH d AS (SELECT DISTINCT (service_time + 28800) / 86400 AS day FROM claim_lines),
cut AS (
  SELECT institution_id, day, max(from_at + 28800, day * 86400 + 18000) AS b, min(to_at + 28800, day * 86400 + 86400) AS e
  FROM coverage JOIN d ON from_at + 28800 < day * 86400 + 86400 AND to_at + 28800 > day * 86400 + 18000
  WHERE purpose = 'dialysis'
),
before AS (
  SELECT *, max(e) OVER (
    PARTITION BY institution_id, day ORDER BY b, e ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS until
  FROM cut
)
SELECT institution_id, day, sum(max(0, e - max(b, coalesce(until, b)))) AS seconds FROM before GROUP BY 1, 2;
CREATE INDEX v_day ON covered (institution_id, day);
CREATE TABLE sessions AS
SELECT i.institution_id, i.person_id, i.occurred_at AS began, (
  SELECT min(o.occurred_at) FROM attendance o
  WHERE o.person_id = i.person_id AND o.institution_id = i.institution_id AND o.event_type = 'sign_out'
    AND o.occurred_at BETWEEN i.occurred_at AND i.occurred_at + 43200
) AS ended, coalesce((
  SELECT min(session_minutes) * 30 FROM prescriptions r
  WHERE r.person_id = i.person_id AND r.institution_id = i.institution_id
), 5400) AS required
FROM attendance i
WHERE i.event_type = 'sign_in' AND i.purpose = 'dialysis' AND i.outcome = 'match' AND i.pad = 'bona_fide';
CREATE INDEX x_person ON sessions (person_id, institution_id, began);
CREATE TABLE verdicts AS
SELECT line_id, CASE
  WHEN dead THEN 'after_death'
  WHEN item_code = 'HD' AND shown >= required THEN 'verified_session'
  WHEN item_code = 'HD' AND began IS NOT NULL THEN 'no_sign_out'
  WHEN item_code = 'HD' AND coalesce(seconds, 0) >= 0.95 * 68400 THEN 'no_session'
  WHEN item_code = 'HD' THEN 'coverage_gap'
  WHEN absent THEN 'absent_at_check'
  WHEN seen THEN 'seen'
  WHEN NOT in_stay THEN 'outside_stay'
  WHEN on_leave THEN 'on_leave'
  ELSE 'not_seen'
END AS reason
FROM (
  SELECT l.line_id, l.item_code, s.began, s.required, v.seconds,
    EXISTS (SELECT 1 FROM persons p WHERE p.person_id = l.person_id AND p.death_date IS NOT NULL
      AND (l.service_time + 28800) / 86400 > p.death_date) AS dead,
    max(coalesce(s.ended - s.began, 0), coalesce((SELECT max(m.ended_at) - s.began FROM machine_sessions m
      WHERE m.person_id = l.person_id AND m.institution_id = l.institution_id
        AND m.started_at BETWEEN s.began - 43200 AND coalesce(s.ended, s.began + 43200) AND m.ended_at >= s.began), 0)
    ) AS shown,
    0 AS in_stay, 0 AS absent, 0 AS seen, 0 AS on_leave
  FROM claim_lines l
  LEFT JOIN sessions s ON s.person_id = l.person_id AND s.institution_id = l.institution_id
    AND (s.began + 28800) / 86400 = (l.service_time + 28800) / 86400
  LEFT JOIN covered v ON v.institution_id = l.institution_id AND v.day = (l.service_time + 28800) / 86400
  WHERE l.item_code = 'HD'
  UNION ALL
  SELECT l.line_id, l.item_code, NULL, NULL, NULL,
    EXISTS (SELECT 1 FROM persons p WHERE p.person_id = l.person_id AND p.death_date IS NOT NULL
      AND (l.service_time + 28800) / 86400 > p.death_date),
    0,
    EXISTS (SELECT 1 FROM stays t WHERE t.visit_id = l.visit_id AND t.institution_id = l.institution_id
      AND (l.service_time + 28800) / 86400 BETWEEN (t.admitted_at + 28800) / 86400 AND (t.discharged_at + 28800) / 86400),
    EXISTS (SELECT 1 FROM spot_checks c WHERE c.person_id = l.person_id AND c.institution_id = l.institution_id
      AND (c.answered_at + 28800) / 86400 = (l.service_time + 28800) / 86400 AND c.result = 'absent'
      AND NOT EXISTS (SELECT 1 FROM leaves v WHERE v.person_id = l.person_id AND v.institution_id = l.institution_id
        AND c.answered_at BETWEEN v.left_at AND v.returned_at)),
    EXISTS (SELECT 1 FROM attendance a WHERE a.person_id = l.person_id AND a.institution_id = l.institution_id
      AND a.outcome = 'match' AND a.pad = 'bona_fide'
      AND (a.occurred_at + 28800) / 86400 = (l.service_time + 28800) / 86400)
    OR EXISTS (SELECT 1 FROM spot_checks c WHERE c.person_id = l.person_id AND c.institution_id = l.institution_id
      AND (c.answered_at + 28800) / 86400 = (l.service_time + 28800) / 86400 AND c.result = 'present'),
    EXISTS (SELECT 1 FROM leaves v WHERE v.person_id = l.person_id AND v.institution_id = l.institution_id
      AND v.left_at + 28800 <= (l.service_time + 28800) / 86400 * 86400
      AND v.returned_at + 28800 >= (l.service_time + 28800) / 86400 * 86400 + 86400)
  FROM claim_lines l
  WHERE l.item_code = 'BED'
);
"""  # noqa: E501 - SQL as its users write it


def read(tables: Path, name: str) -> pa.Table:
    """Read the columns a rival needs, instants as seconds and dates as days since 1970."""
    table = pq.read_table(tables / f"{name}.parquet", columns=NEEDED[name])
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            seconds = table[field.name].cast(pa.timestamp("s", tz="UTC"), safe=False).cast(pa.int64())
            table = table.set_column(index, field.name, seconds)
        elif pa.types.is_date(field.type):
            table = table.set_column(index, field.name, table[field.name].cast(pa.int32()).cast(pa.int64()))
    return table


def by_sqlite(tables: Path) -> pa.Table:
    """Judge with SQLite: load, index, correlated queries."""
    connection = sqlite3.connect(":memory:")
    for name, columns in NEEDED.items():
        connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        for batch in read(tables, name).to_batches(max_chunksize=50_000):
            values = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", values)
    connection.executescript(_SQLITE)
    rows = connection.execute("SELECT line_id, reason FROM verdicts").fetchall()
    connection.close()
    lines, reasons = zip(*rows, strict=True)
    return pa.table({"line_id": pa.array(lines), "reason": pa.array(reasons)})


def by_pandas(tables: Path) -> pa.Table:
    """Judge with pandas: merges and boolean columns."""
    pd: Any = importlib.import_module("pandas")  # a tool of the tests' extra

    t = {name: read(tables, name).to_pandas() for name in NEEDED}
    lines = t["claim_lines"][t["claim_lines"].item_code.isin(["HD", "BED"])].copy()
    lines["day"] = (lines.service_time + CHINA_S) // DAY_S
    lines = lines.merge(t["persons"].dropna(), on="person_id", how="left")
    lines["dead"] = lines.day > lines.death_date
    who = ["institution_id", "person_id"]
    verified = t["attendance"][
        (t["attendance"].outcome == "match") & (t["attendance"].pad == "bona_fide")
    ].copy()
    verified["day"] = (verified.occurred_at + CHINA_S) // DAY_S

    hd = lines[lines.item_code == "HD"]
    signs = verified[verified.purpose == "dialysis"]
    ins = signs[signs.event_type == "sign_in"][[*who, "day", "occurred_at"]]
    outs = signs[signs.event_type == "sign_out"][[*who, "occurred_at"]]
    sessions = pd.merge_asof(
        ins.rename(columns={"occurred_at": "began"}).sort_values("began"),
        outs.rename(columns={"occurred_at": "ended"}).sort_values("ended"),
        left_on="began",
        right_on="ended",
        by=who,
        direction="forward",
        tolerance=43_200,
    )
    runs = t["machine_sessions"].sort_values("started_at")
    sessions = pd.merge_asof(
        sessions, runs, left_on="began", right_on="started_at", by=who, direction="nearest", tolerance=43_200
    )
    sessions = sessions.merge(t["prescriptions"], on=who, how="left")
    sessions["required"] = (sessions.session_minutes * 30).fillna(5400)
    sessions["shown"] = (sessions[["ended", "ended_at"]].max(axis=1) - sessions.began).fillna(0)
    hd = hd.merge(sessions[[*who, "day", "began", "shown", "required"]], on=[*who, "day"], how="left")
    hd = hd.merge(
        _covered(t["coverage"], sorted(lines.day.unique())), on=["institution_id", "day"], how="left"
    )
    hd["reason"] = "coverage_gap"
    hd.loc[hd.seconds.fillna(0) >= 0.95 * 68_400, "reason"] = "no_session"
    hd.loc[hd.began.notna(), "reason"] = "no_sign_out"
    hd.loc[hd.shown >= hd.required, "reason"] = "verified_session"
    hd.loc[hd.dead, "reason"] = "after_death"

    bed = lines[lines.item_code == "BED"]
    stays = t["stays"]
    bed = bed.merge(stays, on=["visit_id", "institution_id"], how="left")
    in_stay = (bed.day >= (bed.admitted_at + CHINA_S) // DAY_S) & (
        bed.day <= (bed.discharged_at + CHINA_S) // DAY_S
    )
    checks = t["spot_checks"].merge(t["leaves"], on=who, how="left")
    checks["day"] = (checks.answered_at + CHINA_S) // DAY_S
    excused = (checks.answered_at >= checks.left_at) & (checks.answered_at <= checks.returned_at)
    absent = checks[(checks.result == "absent") & ~excused][[*who, "day"]].drop_duplicates()
    found = checks[checks.result == "present"][[*who, "day"]]
    seen = pd.concat([verified[[*who, "day"]], found]).drop_duplicates()
    bed = bed.merge(absent.assign(absent=1), on=[*who, "day"], how="left")
    bed = bed.merge(seen.assign(seen=1), on=[*who, "day"], how="left")
    bed = bed.merge(t["leaves"].drop_duplicates(who), on=who, how="left")
    local = bed.day * DAY_S
    bed["reason"] = "not_seen"
    gone = (bed.left_at + CHINA_S <= local) & (bed.returned_at + CHINA_S >= local + DAY_S)
    bed.loc[gone, "reason"] = "on_leave"
    bed.loc[~in_stay.to_numpy(), "reason"] = "outside_stay"
    bed.loc[bed.seen.notna(), "reason"] = "seen"
    bed.loc[bed.absent.notna(), "reason"] = "absent_at_check"
    bed.loc[bed.dead, "reason"] = "after_death"
    both = pd.concat([hd[["line_id", "reason"]], bed[["line_id", "reason"]]])
    return pa.Table.from_pandas(both, preserve_index=False)


def _covered(coverage: Any, days: list[int]) -> Any:
    """Add up each institution's covered seconds between 05:00 and 24:00, stretches merged."""
    pd: Any = importlib.import_module("pandas")  # a tool of the tests' extra

    cut = coverage[coverage.purpose == "dialysis"].merge(pd.DataFrame({"day": days}), how="cross")
    cut["b"] = (cut.from_at + CHINA_S).clip(lower=cut.day * DAY_S + 18_000)
    cut["e"] = (cut.to_at + CHINA_S).clip(upper=cut.day * DAY_S + DAY_S)
    cut = cut[cut.e > cut.b].sort_values(["institution_id", "day", "b", "e"])
    until = cut.groupby(["institution_id", "day"]).e.cummax().groupby([cut.institution_id, cut.day]).shift()
    cut["seconds"] = (cut.e - cut.b.where(until.isna() | (until < cut.b), until)).clip(lower=0)
    return cut.groupby(["institution_id", "day"], as_index=False).seconds.sum()


def main() -> None:
    """Judge and write, as a process of its own, so that its memory can be measured."""
    rival, tables, out = sys.argv[1:]
    judge = {"sqlite": by_sqlite, "pandas": by_pandas}[rival]
    pq.write_table(judge(Path(tables)), out)


if __name__ == "__main__":
    main()
