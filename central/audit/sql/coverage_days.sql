-- How much of each day's window the devices together could see: the union of their stretches.
WITH before AS (
  SELECT
    *,
    max(to_local) OVER (
      PARTITION BY institution_id, purpose, day
      ORDER BY from_local, to_local
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS seen_until
  FROM coverage_stretches
)
SELECT
  institution_id,
  purpose,
  day,
  sum(greatest(0, to_local - greatest(from_local, coalesce(seen_until, from_local)))) AS covered_us
FROM before
GROUP BY institution_id, purpose, day
