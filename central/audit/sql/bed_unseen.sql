-- Bed-day lines on whose day nothing shows the person.
SELECT l.line, l.institution_id, l.visit_id, l.person_id, l.service_day, l.from_local, l.to_local, l.utc_offset_us
FROM bed_lines l
ANTI JOIN bed_sightings s ON l.inpatient = s.inpatient AND l.service_day = s.day
