-- Bed-day lines on whose day the person was seen.
SELECT l.line_id, s.evidence
FROM bed_lines l
JOIN inpatients i ON l.institution_id = i.institution_id AND l.person_id = i.person_id
JOIN bed_sightings s ON i.inpatient = s.inpatient AND l.service_day = s.day
