-- Every day of every bed line as it was billed. Nearly all lines are of one day and are read as they are.
SELECT
  l.line,
  l.line_id,
  l.inpatient,
  l.institution_id,
  l.visit_id,
  l.person_id,
  l.in_period,
  l.service_time,
  l.service_day,
  l.utc_offset_us,
  l.amount,
  l.days,
  l.death_date,
  l.first_day,
  l.last_day,
  coalesce(e.end_day, l.service_day) AS day,
  l.weight AS share
FROM bed_lines l
LEFT JOIN bed_late e ON l.line = e.line
WHERE l.days = 1
UNION ALL
SELECT
  l.line,
  l.line_id,
  l.inpatient,
  l.institution_id,
  l.visit_id,
  l.person_id,
  l.in_period,
  l.service_time,
  l.service_day,
  l.utc_offset_us,
  l.amount,
  l.days,
  l.death_date,
  l.first_day,
  l.last_day,
  s.day,
  s.share
FROM bed_spread s
JOIN bed_lines l ON s.line = l.line
