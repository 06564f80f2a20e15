-- Open lines of persons in a stay at the institution, or of a stay that ended shortly before: dialysis may have come
-- to the bed, where the kiosk sees nobody.
SELECT DISTINCT l.line
FROM open_lines l
JOIN stays s
  ON l.institution_id = s.institution_id
  AND l.person_id = s.person_id
WHERE l.inpatients_sign_in = 0
  AND (
    (l.service_day >= s.admitted_at_day AND (s.discharged_at IS NULL OR l.service_day <= s.discharged_at_day))
    OR (l.visit_id = s.visit_id AND s.discharged_at_day BETWEEN l.service_day - l.late_billing_days AND l.service_day)
  )
