-- The same, each with the key of its session: the session id it names, else the visit it falls into.
WITH opened AS (
  SELECT
    *,
    max(CASE WHEN event_type = 'sign_in' THEN session_id END) OVER (
      PARTITION BY person_here, visit
    ) AS visit_session
  FROM dialysis_visits
)
SELECT
  event_id,
  institution_id,
  person_id,
  person_here,
  event_type,
  occurred_at,
  occurred_at_day,
  utc_offset_us,
  outcome,
  pad,
  clock_trusted,
  verified,
  bound,
  max_session_us,
  resume_us,
  CASE
    WHEN event_type = 'sign_in' AND session_id IS NOT NULL THEN 's' || session_id
    WHEN bound THEN 's' || session_id
    WHEN visit_session IS NOT NULL THEN 's' || visit_session
    ELSE 'v' || CAST(visit AS VARCHAR)
  END AS joined_by
FROM opened
