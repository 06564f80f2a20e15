-- Lines during which the person was verified at another institution, with the evidence,
-- unless a verified sign-in shows the person here that day. An institution that had recorded a leave for the
-- very moment of service cannot be evidence against it: it sent the patient out.
WITH elsewhere AS (
  SELECT l.line, l.institution_id, l.person_id, l.service_day, l.service_time, e.institution_id AS other_id, e.event_id AS evidence
  FROM dialysis_lines l
  JOIN attendance e
    ON l.person_id = e.person_id
    AND l.institution_id <> e.institution_id
    AND e.occurred_at BETWEEN l.service_time - l.elsewhere_margin_us AND l.service_time + l.elsewhere_margin_us
  WHERE e.verified
    AND e.occurred_at_day BETWEEN $from_day - 5 AND $to_day + 5
  UNION ALL
  SELECT l.line, l.institution_id, l.person_id, l.service_day, l.service_time, s.institution_id AS other_id, s.session AS evidence
  FROM dialysis_lines l
  JOIN dialysis_sessions s
    ON l.person_id = s.person_id
    AND l.institution_id <> s.institution_id
    AND s.signed_in_at <= l.service_time + l.elsewhere_margin_us
    AND s.surely_until >= l.service_time - l.elsewhere_margin_us
  WHERE s.sign_in_verified
),
here AS (
  SELECT institution_id, person_id, occurred_at_day
  FROM attendance
  WHERE verified
    AND event_type = 'sign_in'
    AND occurred_at_day BETWEEN $from_day - 5 AND $to_day + 5
)
SELECT e.line, array_agg(DISTINCT e.evidence) AS evidence
FROM elsewhere e
ANTI JOIN here h
  ON e.institution_id = h.institution_id
  AND e.person_id = h.person_id
  AND e.service_day = h.occurred_at_day
ANTI JOIN leaves v
  ON e.other_id = v.institution_id
  AND e.person_id = v.person_id
  AND e.service_time >= v.left_at
  AND (coalesce(v.returned_at, v.due_back_at) IS NULL OR e.service_time <= coalesce(v.returned_at, v.due_back_at))
GROUP BY e.line
