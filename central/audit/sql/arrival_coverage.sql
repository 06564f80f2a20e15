-- How much of the arrival hours of each such day the dialysis devices together could see: the union of their stretches.
WITH cut AS (
  SELECT
    h.institution_id,
    h.day,
    greatest(c.from_at_local, h.from_local) AS from_local,
    least(c.to_at_local, h.to_local) AS to_local
  FROM arrival_hours h
  JOIN coverage c
    ON h.institution_id = c.institution_id
    AND h.day BETWEEN c.from_at_day AND c.to_at_day
    AND c.from_at_local < h.to_local
    AND c.to_at_local > h.from_local
  WHERE c.state = 'up' AND c.purpose = 'dialysis'
),
before AS (
  SELECT
    *,
    max(to_local) OVER (
      PARTITION BY institution_id, day
      ORDER BY from_local, to_local
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS seen_until
  FROM cut
),
united AS (
  SELECT
    institution_id,
    day,
    sum(greatest(0, to_local - greatest(from_local, coalesce(seen_until, from_local)))) AS covered_us
  FROM before
  GROUP BY institution_id, day
)
SELECT h.institution_id, h.day, h.to_local - h.from_local AS window_us, coalesce(u.covered_us, 0) AS covered_us
FROM arrival_hours h
LEFT JOIN united u ON h.institution_id = u.institution_id AND h.day = u.day
