-- Bed-day lines with the window of local time that is their day, and the number of their inpatient.
SELECT
  l.line,
  l.line_id,
  l.institution_id,
  l.visit_id,
  l.person_id,
  i.inpatient,
  l.service_day,
  l.amount,
  coalesce(l.service_day > p.death_date, false) AS after_death,
  l.service_day * 86400000000 + w.from_us AS from_local,
  l.service_day * 86400000000 + w.to_us AS to_local,
  l.utc_offset_us
FROM scope_lines l
JOIN windows w ON l.service_day = w.day AND w.purpose = 'inpatient'
JOIN inpatients i ON l.institution_id = i.institution_id AND l.person_id = i.person_id
LEFT JOIN persons p ON l.person_id = p.person_id
WHERE l.item_class = 'bed_day' AND l.in_period
