-- Second lines of a day that a batch wrote soon after midnight: they are the bed of the day before, as long as the
-- stay has as many days as were billed for it up to then.
WITH sums AS (
  SELECT
    line,
    day,
    weight,
    by_night,
    first_day,
    sum(weight) OVER (PARTITION BY institution_id, person_id, stay, first_day ORDER BY day RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS until_then,
    sum(weight) OVER (
      PARTITION BY institution_id, person_id, stay, first_day, day
      ORDER BY CASE WHEN by_night THEN 1 ELSE 0 END, weight DESC, service_time, institution_id, line_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS that_day
  FROM bed_claims
  WHERE has_stay = 1
)
SELECT line, day
FROM sums
WHERE by_night
  AND weight > 0
  AND that_day > 10416
  AND until_then <= (day - first_day + 1) * 10000 + 416
