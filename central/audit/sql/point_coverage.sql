-- When all that must watch a place was watching: every door by a device of its own, and every machines' log; on a day on
-- which a machine without a device at its door ran for nobody it named, nobody can be missed. Outside of its own days
-- a point needs no watching. A stretch of state down says from when on the place could have been watched at all.
WITH elements AS (
  SELECT DISTINCT place, institution_id, element, from_day, to_day
  FROM point_watchers
),
unnamed AS (
  SELECT DISTINCT institution_id AS place, d.day
  FROM point_machine_sessions m
  JOIN days d ON d.day BETWEEN m.started_at_day AND m.ended_at_day
  WHERE m.person_id IS NULL AND m.ended_at - m.started_at >= m.least_us
),
watched AS (
  SELECT w.place, w.element, c.from_at_local AS from_local, c.to_at_local AS to_local
  FROM point_watchers w
  JOIN coverage c
    ON w.institution_id = c.institution_id
    AND w.device_id = c.device_id
    AND w.kind = c.purpose
  WHERE c.state = 'up'
  UNION ALL
  SELECT e.place, e.element, d.day * 86400000000 AS from_local, (d.day + 1) * 86400000000 AS to_local
  FROM elements e
  JOIN days d ON 1 = 1
  ANTI JOIN unnamed u ON e.place = u.place AND d.day = u.day
  WHERE e.element LIKE '% runs_unnamed'
  UNION ALL
  SELECT place, element, -1000000 * 86400000000 AS from_local, from_day * 86400000000 AS to_local
  FROM elements
  UNION ALL
  SELECT place, element, (to_day + 1) * 86400000000 AS from_local, 1000001 * 86400000000 AS to_local
  FROM elements
),
before AS (
  SELECT
    *,
    max(to_local) OVER (
      PARTITION BY place, element
      ORDER BY from_local, to_local
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS seen_until
  FROM watched
),
pieces AS (
  SELECT place, greatest(from_local, coalesce(seen_until, from_local)) AS from_local, to_local
  FROM before
  WHERE to_local > greatest(from_local, coalesce(seen_until, from_local))
),
changes AS (
  SELECT place, at_local, sum(step) AS step
  FROM (
    SELECT place, from_local AS at_local, 1 AS step FROM pieces
    UNION ALL
    SELECT place, to_local AS at_local, -1 AS step FROM pieces
  ) steps
  GROUP BY place, at_local
),
counted AS (
  SELECT
    place,
    at_local AS from_local,
    lead(at_local) OVER (PARTITION BY place ORDER BY at_local) AS to_local,
    sum(step) OVER (PARTITION BY place ORDER BY at_local ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS watching
  FROM changes
),
asked AS (
  SELECT place, count(*) AS elements FROM elements GROUP BY place
),
together AS (
  SELECT
    c.place,
    greatest(c.from_local, ($early_day - 7) * 86400000000) AS from_local,
    least(c.to_local, ($to_day + 8) * 86400000000) AS to_local
  FROM counted c
  JOIN asked a ON c.place = a.place
  WHERE c.watching = a.elements
)
SELECT
  place AS institution_id,
  'dialysis' AS purpose,
  'up' AS state,
  from_local AS from_at_local,
  to_local AS to_at_local,
  from_local // 86400000000 AS from_at_day,
  to_local // 86400000000 AS to_at_day
FROM together
WHERE to_local > from_local
UNION ALL
SELECT
  place AS institution_id,
  'dialysis' AS purpose,
  'down' AS state,
  $early_day * 86400000000 AS from_at_local,
  $early_day * 86400000000 AS to_at_local,
  $early_day AS from_at_day,
  $early_day AS to_at_day
FROM point_houses
