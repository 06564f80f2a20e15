-- Sign-ins and sign-outs at which the person was let in, by face or by a witness. A match whose liveness failed
-- is one of them: it can carry nothing, and it refutes nothing.
-- bound: a sign-out that names the session of some sign-in of the same person there.
SELECT
  event_id,
  institution_id,
  person_id,
  event_type,
  occurred_at,
  occurred_at_day,
  occurred_at_local - occurred_at AS utc_offset_us,
  session_id,
  outcome,
  pad,
  clock_trusted,
  verified,
  session_id IS NOT NULL AND max(CASE WHEN event_type = 'sign_in' THEN 1 ELSE 0 END) OVER (
    PARTITION BY institution_id, person_id, session_id
  ) = 1 AS bound
FROM attendance
WHERE purpose = 'dialysis'
  AND event_type IN ('sign_in', 'sign_out')
  AND outcome IN ('match', 'manual', 'declined')
  AND occurred_at_day BETWEEN $early_day AND $to_day + 5
