-- Earlier bed lines of those persons, as far back as the tables reach, day by day: they had their day first.
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
  e.days,
  e.service_day - n.number AS day,
  least(10000, e.weight - 10000 * n.number) AS share
FROM bed_before e
SEMI JOIN bed_crowds p ON e.person_id = p.person_id
JOIN bed_calendar c ON e.service_day = c.day
JOIN bed_numbers n ON n.number < least(e.days, c.longest_line_days)
