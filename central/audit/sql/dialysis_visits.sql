-- The visit of each of these: a sign-in opens a visit unless it repeats one shortly before.
-- A repeated sign-in names no other session, follows no sign-out, and comes before a session could have been held.
-- Only what is counted with is sorted; what else is known of the event joins again afterwards.
WITH before AS (
  SELECT
    event_id,
    person_here,
    event_type,
    occurred_at,
    occurred_at_day,
    session_id,
    lag(event_type) OVER person_there AS before_type,
    lag(occurred_at) OVER person_there AS before_at,
    coalesce(lag(session_id) OVER person_there, '') AS before_session
  FROM dialysis_signs
  WINDOW person_there AS (
    PARTITION BY person_here
    ORDER BY occurred_at, CASE WHEN event_type = 'sign_in' THEN 1 ELSE 0 END, event_id
  )
)
SELECT
  b.event_id,
  b.person_here,
  b.event_type,
  b.session_id,
  d.max_session_us,
  d.resume_us,
  sum(
    CASE
      WHEN b.event_type = 'sign_in' AND (
        b.before_type IS NULL
        OR b.before_type = 'sign_out'
        OR b.occurred_at - b.before_at >= d.min_session_us
        OR b.before_session <> coalesce(b.session_id, '')
      ) THEN 1
      ELSE 0
    END
  ) OVER (
    PARTITION BY b.person_here
    ORDER BY b.occurred_at, CASE WHEN b.event_type = 'sign_in' THEN 1 ELSE 0 END, b.event_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS visit
FROM before b
JOIN days d ON b.occurred_at_day = d.day
