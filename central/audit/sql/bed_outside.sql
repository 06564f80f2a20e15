-- Bed-day lines whose day no stay of the visit spans. Without any known stay nothing can be said, and a visit
-- whose stay could not be read is left alone.
SELECT l.line
FROM bed_lines l
ANTI JOIN stays s
  ON l.institution_id = s.institution_id
  AND l.visit_id = s.visit_id
  AND l.service_day >= s.admitted_at_day
  AND (s.discharged_at IS NULL OR l.service_day <= s.discharged_at_day)
ANTI JOIN doubts d
  ON l.institution_id = d.institution_id
  AND l.person_id = d.person_id
  AND l.service_day = coalesce(d.day, l.service_day)
WHERE $stays_known = 1
