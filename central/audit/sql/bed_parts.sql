-- Every day to be judged.
SELECT
  b.line,
  b.line_id,
  b.inpatient,
  b.institution_id,
  b.visit_id,
  b.person_id,
  b.service_time,
  b.service_day,
  b.utc_offset_us,
  b.amount,
  b.days,
  b.share,
  b.death_date,
  b.first_day,
  b.last_day,
  b.day AS billed_day,
  CASE WHEN n.line IS NULL THEN b.day ELSE b.day - 1 END AS day
FROM bed_billed b
LEFT JOIN bed_nights n ON b.line = n.line AND b.day = n.day
WHERE b.in_period
