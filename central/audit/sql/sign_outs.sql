-- The sign-out of each session: the last verified one, else the first there is.
-- Nearly always there is one, which is taken as it is; only where there are several are they ranked.
WITH candidates AS (
  SELECT i.session, o.event_id, o.occurred_at, o.outcome, o.pad, o.clock_trusted, o.verified
  FROM sign_ins i
  JOIN dialysis_joined o
    ON i.person_here = o.person_here
    AND i.joined_by = o.joined_by
    AND o.occurred_at >= i.signed_in_at
    AND (o.bound OR o.occurred_at <= i.signed_in_at + i.max_session_us)
  WHERE o.event_type = 'sign_out'
),
several AS (
  SELECT session FROM candidates GROUP BY session HAVING count(*) > 1
),
ranked AS (
  SELECT
    c.*,
    row_number() OVER (
      PARTITION BY c.session
      ORDER BY
        CASE WHEN c.verified THEN 0 ELSE 1 END,
        CASE WHEN c.verified THEN -c.occurred_at ELSE c.occurred_at END,
        c.event_id
    ) AS place
  FROM candidates c
  SEMI JOIN several s ON c.session = s.session
)
SELECT session, event_id, occurred_at, outcome, pad, clock_trusted, verified
FROM ranked
WHERE place = 1
UNION ALL
SELECT c.session, c.event_id, c.occurred_at, c.outcome, c.pad, c.clock_trusted, c.verified
FROM candidates c
ANTI JOIN several s ON c.session = s.session
