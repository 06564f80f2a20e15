-- Earlier bed lines of those persons, as far back as the tables reach, day by day: they had their day first.
WITH earlier AS (
  SELECT
    n.line,
    n.line_id,
    n.institution_id,
    n.visit_id,
    n.person_id,
    n.service_time,
    n.service_time_day AS service_day,
    n.utc_offset_us,
    n.amount,
    CASE
      WHEN n.quantity <= 0 THEN CAST(10000 AS BIGINT)
      ELSE greatest(1, CAST(least(n.quantity, 1000000) * 10000 AS BIGINT) // CASE WHEN n.item_unit = 'hour' THEN 24 ELSE 1 END)
    END AS weight
  FROM net_lines n
  SEMI JOIN bed_crowds p ON n.person_id = p.person_id
  WHERE n.item_class = 'bed_day' AND n.service_time_day BETWEEN $from_day - 400 AND $from_day - 4
)
SELECT
  e.line,
  e.line_id,
  e.institution_id,
  e.visit_id,
  e.person_id,
  e.service_time,
  e.service_day,
  e.utc_offset_us,
  e.amount,
  greatest(1, (e.weight + 9583) // 10000) AS days,
  e.service_day - n.number AS day,
  least(10000, e.weight - 10000 * n.number) AS share
FROM earlier e
JOIN bed_calendar c ON e.service_day = c.day
JOIN bed_numbers n ON n.number < least(greatest(1, (e.weight + 9583) // 10000), c.longest_line_days)
