-- Bed-day lines with a spot check that found the person absent, or somebody else, and no leave for it.
-- Where a row about the person could not be read, it may have been the leave: nothing is concluded.
SELECT c.line, array_agg(c.check_id) AS evidence
FROM bed_checks c
JOIN bed_lines l ON c.line = l.line
ANTI JOIN doubts d
  ON c.institution_id = d.institution_id
  AND c.person_id = d.person_id
  AND l.service_day = coalesce(d.day, l.service_day)
WHERE c.result IN ('absent', 'identity_mismatch') AND c.on_leave = 0
GROUP BY c.line
