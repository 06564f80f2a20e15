-- Bed lines with how many days they are, in ten-thousandths of a day (weight) and in days; the number of their
-- inpatient; the day of death; and the stay of their visit.
-- A remainder of up to an hour counts with the day before it, so that rounding makes no second day.
WITH billed AS (
  SELECT
    *,
    CASE
      WHEN quantity <= 0 THEN CAST(10000 AS BIGINT)
      ELSE greatest(1, CAST(least(quantity, 1000000) * 10000 AS BIGINT) // CASE WHEN item_unit = 'hour' THEN 24 ELSE 1 END)
    END AS weight
  FROM scope_lines
  WHERE item_class = 'bed_day' AND service_day BETWEEN $from_day - 3 AND $to_day + 3
),
dead AS (
  SELECT person_id, max(death_date) AS death_date
  FROM persons
  WHERE death_date IS NOT NULL
  GROUP BY person_id
)
SELECT
  b.line,
  b.line_id,
  b.institution_id,
  b.visit_id,
  b.person_id,
  b.person_here AS inpatient,
  b.in_period,
  b.service_time,
  b.service_day,
  b.utc_offset_us,
  b.amount,
  b.weight,
  greatest(1, (b.weight + 9583) // 10000) AS days,
  d.death_date,
  v.first_day,
  v.last_day,
  v.first_day IS NOT NULL AND b.service_day >= v.first_day AND (v.last_day IS NULL OR b.service_day <= v.last_day) AS spanned
FROM billed b
LEFT JOIN dead d ON b.person_id = d.person_id
LEFT JOIN bed_visits v ON b.visit_here = v.visit_here
