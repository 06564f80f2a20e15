-- The verdict on every bed line; nearly all are of one day and have that day's. At stake is the contradicted days' share
-- of the amount, half a cent upwards.
WITH whole AS (
  SELECT * FROM bed_sums
  UNION ALL
  SELECT
    line,
    line_id,
    institution_id,
    amount,
    verdict,
    reason,
    covered_us,
    window_us,
    share,
    CASE WHEN verdict = 'contradicted' THEN share ELSE 0 END AS contradicted,
    CASE WHEN reason = 'broken_row' THEN 'broken_row' END AS shield,
    evidence
  FROM bed_day_verdicts
  WHERE days = 1
)
SELECT
  w.line,
  w.line_id,
  w.institution_id,
  w.amount,
  w.verdict,
  w.reason,
  CAST(w.covered_us AS DOUBLE) / CAST(w.window_us AS DOUBLE) AS coverage_ratio,
  w.evidence,
  w.shield,
  CASE
    WHEN w.contradicted = w.share THEN CAST(w.amount AS DECIMAL(16, 2))
    WHEN w.contradicted = 0 THEN CAST(0 AS DECIMAL(16, 2))
    ELSE CAST(
      CAST(CAST(floor(CAST(w.amount AS DOUBLE) * 100 * CAST(w.contradicted AS DOUBLE) / CAST(w.share AS DOUBLE) + 0.5) AS BIGINT) AS DECIMAL(18, 0))
      * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(16, 2)
    )
  END AS amount_at_stake
FROM whole w
