-- The bed lines of several days: the verdict on each, and what its days come to. It is contradicted if any of its days
-- is, supported if all are, else insufficient. The reason is that of the first day with that verdict, the evidence that of
-- all days with it.
WITH ranked AS (
  SELECT
    *,
    CASE verdict WHEN 'contradicted' THEN 0 WHEN 'insufficient' THEN 1 ELSE 2 END AS worst
  FROM bed_day_verdicts
  WHERE days > 1
),
decided AS (
  SELECT *, min(worst) OVER (PARTITION BY line) AS decides
  FROM ranked
),
first_days AS (
  SELECT line, min(day) AS day
  FROM decided
  WHERE worst = decides
  GROUP BY line
),
sums AS (
  SELECT
    line,
    sum(covered_us) AS covered_us,
    sum(window_us) AS window_us,
    sum(share) AS share,
    max(CASE WHEN reason = 'broken_row' THEN 'broken_row' END) AS shield,
    sum(CASE WHEN worst = 0 THEN share ELSE 0 END) AS contradicted,
    list_filter(flatten(array_agg(CASE WHEN worst = decides THEN evidence ELSE CAST([] AS VARCHAR[]) END)), lambda x: x IS NOT NULL) AS evidence
  FROM decided
  GROUP BY line
)
SELECT
  d.line,
  d.line_id,
  d.institution_id,
  d.amount,
  d.verdict,
  d.reason,
  s.covered_us,
  s.window_us,
  s.share,
  s.contradicted,
  s.shield,
  list_sort(list_distinct(s.evidence)) AS evidence
FROM sums s
JOIN first_days f ON s.line = f.line
JOIN decided d ON f.line = d.line AND f.day = d.day
