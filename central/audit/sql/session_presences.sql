-- The last moment within each session at which a camera or a check verified the person on site. A dialysis device
-- may still do so after an early sign-out; elsewhere in the house says nothing of the session then.
WITH seen AS (
  SELECT
    s.session,
    e.event_id,
    e.occurred_at,
    row_number() OVER (PARTITION BY s.session ORDER BY e.occurred_at DESC, e.event_id) AS place
  FROM session_spans s
  JOIN attendance e
    ON s.person_here = e.person_here
    AND e.occurred_at BETWEEN s.signed_in_at AND s.afterwards_until
    AND (e.occurred_at <= s.watched_until OR e.purpose = 'dialysis')
  WHERE e.verified
    AND e.event_type = 'presence'
    AND e.occurred_at_day BETWEEN $early_day AND $to_day + 5
)
SELECT session, event_id, occurred_at
FROM seen
WHERE place = 1
