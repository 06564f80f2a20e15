-- Bed days on which nothing shows the person.
SELECT
  b.line,
  b.day,
  b.institution_id,
  b.visit_id,
  b.person_id,
  b.inpatient,
  b.utc_offset_us,
  b.day * 86400000000 + w.from_us AS from_local,
  b.day * 86400000000 + w.to_us AS to_local,
  w.longest_examination_us
FROM bed_parts b
JOIN bed_calendar w ON b.day = w.day
ANTI JOIN bed_sightings s ON b.inpatient = s.inpatient AND b.day = s.day
