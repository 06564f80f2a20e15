-- Sign-ins and sign-outs at which the person was let in, by face or by a witness. A match whose liveness failed
-- is one of them: it can carry nothing, and it refutes nothing.
-- bound: a sign-out that names the session of some sign-in of the same person there.
WITH named AS (
  SELECT DISTINCT person_here, session_id
  FROM attendance
  WHERE purpose = 'dialysis'
    AND event_type = 'sign_in'
    AND outcome IN ('match', 'manual', 'declined')
    AND session_id IS NOT NULL
    AND occurred_at_day BETWEEN $early_day AND $to_day + 5
)
SELECT
  a.event_id,
  a.institution_id,
  a.person_id,
  a.person_here,
  a.event_type,
  a.occurred_at,
  a.occurred_at_day,
  a.occurred_at_local - a.occurred_at AS utc_offset_us,
  a.session_id,
  a.outcome,
  a.pad,
  a.clock_trusted,
  a.verified,
  n.session_id IS NOT NULL AS bound
FROM attendance a
LEFT JOIN named n ON a.person_here = n.person_here AND a.session_id = n.session_id
WHERE a.purpose = 'dialysis'
  AND a.event_type IN ('sign_in', 'sign_out')
  AND a.outcome IN ('match', 'manual', 'declined')
  AND a.occurred_at_day BETWEEN $early_day AND $to_day + 5
