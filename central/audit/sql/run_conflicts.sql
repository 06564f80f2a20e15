-- Those runs during which the person was verified at another institution, with the evidence.
WITH overlapped AS (
  SELECT r.line, r.run, r.person_id, e.institution_id AS other_id, e.occurred_at AS moment, e.event_id AS evidence
  FROM own_runs r
  JOIN attendance e
    ON r.person_id = e.person_id
    AND r.institution_id <> e.institution_id
    AND e.occurred_at > r.started_at
    AND e.occurred_at < r.ended_at
  WHERE e.verified
    AND e.occurred_at_day BETWEEN $early_day AND $to_day + 5
  UNION ALL
  SELECT
    r.line,
    r.run,
    r.person_id,
    o.institution_id AS other_id,
    greatest(r.started_at, o.signed_in_at) AS moment,
    o.session AS evidence
  FROM own_runs r
  JOIN dialysis_sessions o
    ON r.person_id = o.person_id
    AND r.institution_id <> o.institution_id
    AND o.signed_in_at < r.ended_at
    AND o.surely_until > r.started_at
  WHERE o.sign_in_verified
)
SELECT DISTINCT o.line, o.run, o.evidence
FROM overlapped o
ANTI JOIN leaves v
  ON o.other_id = v.institution_id
  AND o.person_id = v.person_id
  AND o.moment >= v.left_at
  AND (coalesce(v.returned_at, v.due_back_at) IS NULL OR o.moment <= coalesce(v.returned_at, v.due_back_at))
