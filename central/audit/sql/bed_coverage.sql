-- How much of each bed day's window the ward's devices together could see: the union of their stretches.
WITH stretches AS (
  SELECT
    c.institution_id,
    d.day,
    greatest(c.from_at_local, d.day * 86400000000 + d.from_us) AS from_local,
    least(c.to_at_local, d.day * 86400000000 + d.to_us) AS to_local
  FROM coverage c
  JOIN bed_calendar d ON d.day BETWEEN c.from_at_day - 1 AND c.to_at_day
  WHERE c.state = 'up'
    AND c.purpose = 'inpatient'
    AND d.day BETWEEN $bed_from_day AND $to_day
    AND c.from_at_local < d.day * 86400000000 + d.to_us
    AND c.to_at_local > d.day * 86400000000 + d.from_us
),
before AS (
  SELECT
    *,
    max(to_local) OVER (
      PARTITION BY institution_id, day
      ORDER BY from_local, to_local
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS seen_until
  FROM stretches
)
SELECT
  institution_id,
  day,
  sum(greatest(0, to_local - greatest(from_local, coalesce(seen_until, from_local)))) AS covered_us
FROM before
GROUP BY institution_id, day
