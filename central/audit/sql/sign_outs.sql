-- The sign-out of each session: the last verified one, else the first there is.
WITH ranked AS (
  SELECT
    i.session,
    o.event_id,
    o.occurred_at,
    o.outcome,
    o.pad,
    o.clock_trusted,
    o.verified,
    row_number() OVER (
      PARTITION BY i.session
      ORDER BY
        CASE WHEN o.verified THEN 0 ELSE 1 END,
        CASE WHEN o.verified THEN -o.occurred_at ELSE o.occurred_at END,
        o.event_id
    ) AS place
  FROM sign_ins i
  JOIN dialysis_joined o
    ON i.institution_id = o.institution_id
    AND i.person_id = o.person_id
    AND i.joined_by = o.joined_by
    AND o.occurred_at >= i.signed_in_at
    AND (o.bound OR o.occurred_at <= i.signed_in_at + i.max_session_us)
  WHERE o.event_type = 'sign_out'
)
SELECT session, event_id, occurred_at, outcome, pad, clock_trusted, verified
FROM ranked
WHERE place = 1
