-- Sessions here during which the person was verified at another institution, with the evidence. A verified sign-in
-- is in no conflict, nor is a time that an untrusted clock wrote. An institution that had recorded a leave for that
-- moment is no evidence either: it sent the patient out.
WITH unsure AS (
  SELECT session, institution_id, person_id, signed_in_at, greatest(ended_at, signed_in_at) AS until_at
  FROM dialysis_sessions
  WHERE NOT sign_in_verified AND clock_trusted
),
overlapped AS (
  SELECT s.session, s.person_id, e.institution_id AS other_id, e.occurred_at AS moment, e.event_id AS evidence
  FROM unsure s
  JOIN attendance e
    ON s.person_id = e.person_id
    AND s.institution_id <> e.institution_id
    AND e.occurred_at > s.signed_in_at
    AND e.occurred_at < s.until_at
  WHERE e.verified
    AND e.occurred_at_day BETWEEN $early_day AND $to_day + 5
  UNION ALL
  SELECT
    s.session,
    s.person_id,
    o.institution_id AS other_id,
    greatest(s.signed_in_at, o.signed_in_at) AS moment,
    o.session AS evidence
  FROM unsure s
  JOIN dialysis_sessions o
    ON s.person_id = o.person_id
    AND s.institution_id <> o.institution_id
    AND o.signed_in_at < s.until_at
    AND o.surely_until > s.signed_in_at
  WHERE o.sign_in_verified
)
SELECT DISTINCT o.session, o.evidence
FROM overlapped o
ANTI JOIN leaves v
  ON o.other_id = v.institution_id
  AND o.person_id = v.person_id
  AND o.moment >= v.left_at
  AND (coalesce(v.returned_at, v.due_back_at) IS NULL OR o.moment <= coalesce(v.returned_at, v.due_back_at))
