-- Unseen bed days whose person was verified elsewhere outside every leave, unless the day is that of admission or
-- discharge, or any verified event shows the person here.
WITH others AS (
  SELECT institution_id, person_id, occurred_at_local
  FROM attendance
  WHERE verified
    AND event_type IN ('sign_out', 'identity_check')
    AND occurred_at_day BETWEEN $bed_from_day - 1 AND $to_day + 2
)
SELECT a.line, a.day, array_agg(a.event_id) AS evidence
FROM bed_away a
JOIN bed_unseen l ON a.line = l.line AND a.day = l.day
ANTI JOIN bed_visits s
  ON l.institution_id = s.institution_id
  AND l.visit_id = s.visit_id
  AND (l.day = s.first_day OR l.day = s.last_day)
ANTI JOIN bed_visits t
  ON l.institution_id = t.institution_id
  AND l.person_id = t.person_id
  AND (l.day = t.first_day OR l.day = t.last_day)
ANTI JOIN others h
  ON l.institution_id = h.institution_id
  AND l.person_id = h.person_id
  AND h.occurred_at_local >= l.from_local
  AND h.occurred_at_local < l.to_local
WHERE a.on_leave = 0
GROUP BY a.line, a.day
