-- The sign-ins and sign-outs, each with the key of its session: the session id it names, else the visit it falls into.
WITH named AS (
  SELECT person_here, visit, max(session_id) AS session_id
  FROM dialysis_visits
  WHERE event_type = 'sign_in' AND session_id IS NOT NULL
  GROUP BY person_here, visit
)
SELECT
  s.event_id,
  s.institution_id,
  s.person_id,
  s.person_here,
  s.event_type,
  s.occurred_at,
  s.occurred_at_day,
  s.utc_offset_us,
  s.outcome,
  s.pad,
  s.clock_trusted,
  s.verified,
  s.bound,
  v.max_session_us,
  v.resume_us,
  CASE
    WHEN s.event_type = 'sign_in' AND s.session_id IS NOT NULL THEN 's' || s.session_id
    WHEN s.bound THEN 's' || s.session_id
    WHEN n.session_id IS NOT NULL THEN 's' || n.session_id
    ELSE 'v' || CAST(v.visit AS VARCHAR)
  END AS joined_by
FROM dialysis_signs s
JOIN dialysis_visits v ON s.event_id = v.event_id AND s.person_here = v.person_here
LEFT JOIN named n ON v.person_here = n.person_here AND v.visit = n.visit
