-- Leaves, each with the moment since which it lasts: an examination or transfer that begins before the person has been
-- back for some hours goes on with the one before, or one a day would explain a month.
WITH errands AS (
  SELECT
    v.*,
    coalesce(c.errand_pause_us, 0) AS pause_us,
    max(coalesce(v.returned_at, v.due_back_at, 4611686018427387904)) OVER (
      PARTITION BY v.institution_id, v.person_id
      ORDER BY v.left_at, v.visit_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS back_before
  FROM leaves v
  LEFT JOIN bed_calendar c ON v.left_at_day = c.day
  WHERE v.kind IN ('examination', 'transfer')
),
chained AS (
  SELECT
    *,
    sum(CASE WHEN back_before >= left_at - pause_us THEN 0 ELSE 1 END) OVER (
      PARTITION BY institution_id, person_id
      ORDER BY left_at, visit_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS chain
  FROM errands
)
SELECT
  institution_id,
  person_id,
  kind,
  left_at,
  min(left_at) OVER (PARTITION BY institution_id, person_id, chain) AS since,
  coalesce(returned_at, due_back_at) AS back_at
FROM chained
UNION ALL
SELECT institution_id, person_id, kind, left_at, left_at AS since, coalesce(returned_at, due_back_at) AS back_at
FROM leaves
WHERE kind = 'leave'
