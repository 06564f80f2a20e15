-- Lines during which the person was verified at another institution, with the evidence: what shows the person here was
-- spent there, or, where nothing shows the person here, the time of the fee was. An institution that had recorded a
-- leave for the very moment of service is no evidence: it sent the patient out.
WITH at_fee AS (
  SELECT l.line, l.person_id, l.service_time, e.institution_id AS other_id, e.event_id AS evidence
  FROM bare_lines l
  JOIN attendance e
    ON l.person_id = e.person_id
    AND l.institution_id <> e.institution_id
    AND e.occurred_at BETWEEN l.service_time - l.elsewhere_margin_us AND l.service_time + l.elsewhere_margin_us
  WHERE e.verified
    AND e.occurred_at_day BETWEEN $early_day AND $to_day + 5
  UNION ALL
  SELECT l.line, l.person_id, l.service_time, s.institution_id AS other_id, s.session AS evidence
  FROM bare_lines l
  JOIN dialysis_sessions s
    ON l.person_id = s.person_id
    AND l.institution_id <> s.institution_id
    AND s.signed_in_at <= l.service_time + l.elsewhere_margin_us
    AND s.surely_until >= l.service_time - l.elsewhere_margin_us
  WHERE s.sign_in_verified
),
signed_in AS (
  SELECT l.line
  FROM bare_lines l
  JOIN attendance e
    ON l.institution_id = e.institution_id
    AND l.person_id = e.person_id
    AND l.service_day = e.occurred_at_day
  WHERE e.verified
    AND e.event_type = 'sign_in'
    AND e.occurred_at_day BETWEEN $early_day AND $to_day + 5
),
shown AS (
  SELECT l.line
  FROM bare_lines l
  JOIN attendance e
    ON l.institution_id = e.institution_id
    AND l.person_id = e.person_id
    AND l.service_day = e.occurred_at_day
  WHERE e.outcome IN ('match', 'manual', 'declined')
    AND e.occurred_at_day BETWEEN $early_day AND $to_day + 5
  UNION ALL
  SELECT l.line
  FROM bare_lines l
  JOIN spot_checks c
    ON l.institution_id = c.institution_id
    AND l.person_id = c.person_id
    AND l.service_day = coalesce(c.answered_at_day, c.drawn_at_day)
  WHERE c.result = 'present'
)
SELECT o.line, list_filter(o.elsewhere, lambda x: x IS NOT NULL) AS evidence
FROM own_sessions o
ANTI JOIN signed_in s ON o.line = s.line
WHERE o.here = 0
UNION ALL
SELECT f.line, array_agg(DISTINCT f.evidence) AS evidence
FROM at_fee f
ANTI JOIN own_sessions o ON f.line = o.line
ANTI JOIN shown h ON f.line = h.line
ANTI JOIN leaves v
  ON f.other_id = v.institution_id
  AND f.person_id = v.person_id
  AND f.service_time >= v.left_at
  AND (coalesce(v.returned_at, v.due_back_at) IS NULL OR f.service_time <= coalesce(v.returned_at, v.due_back_at))
GROUP BY f.line
