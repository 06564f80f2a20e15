-- Unseen bed-day lines whose person was verified elsewhere outside every leave,
-- unless the day is that of admission or discharge.
SELECT a.line_id, array_agg(a.event_id) AS evidence
FROM bed_away a
JOIN bed_unseen l ON a.line_id = l.line_id
ANTI JOIN stays s
  ON l.institution_id = s.institution_id
  AND l.visit_id = s.visit_id
  AND (l.service_day = s.admitted_at_day OR l.service_day = s.discharged_at_day)
ANTI JOIN doubts d
  ON l.institution_id = d.institution_id
  AND l.person_id = d.person_id
  AND l.service_day = coalesce(d.day, l.service_day)
WHERE a.on_leave = 0
GROUP BY a.line_id
