-- Earlier bed lines of those persons, as far back as the tables reach, day by day: they had their day first.
WITH earlier AS (
  SELECT
    c.line,
    c.line_id,
    c.institution_id,
    c.visit_id,
    c.person_id,
    c.service_time,
    c.service_time_day AS service_day,
    c.service_time_local - c.service_time AS utc_offset_us,
    c.amount + coalesce(r.amount, 0) AS amount,
    CASE
      WHEN c.quantity + coalesce(r.quantity, 0) <= 0 THEN CAST(10000 AS BIGINT)
      ELSE greatest(1, CAST(least(c.quantity + coalesce(r.quantity, 0), 1000000) * 10000 AS BIGINT) // CASE WHEN k.unit = 'hour' THEN 24 ELSE 1 END)
    END AS weight
  FROM claim_lines c
  SEMI JOIN bed_crowds p ON c.person_id = p.person_id
  JOIN item_catalogue k ON c.item_code = k.item_code
  LEFT JOIN reversals r ON c.line = r.line
  WHERE k.item_class = 'bed_day'
    AND c.reverses_line_id IS NULL
    AND c.service_time_day BETWEEN $from_day - 400 AND $from_day - 4
    AND (r.line IS NULL OR c.quantity + r.quantity > 0)
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
