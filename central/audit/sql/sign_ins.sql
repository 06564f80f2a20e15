-- One sign-in a session: the one that can carry most, then the first.
WITH ranked AS (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY institution_id, person_id, joined_by
      ORDER BY
        CASE
          WHEN verified THEN 0
          WHEN outcome IN ('manual', 'declined') THEN 1
          WHEN pad = 'bona_fide' THEN 2
          ELSE 3
        END,
        occurred_at,
        event_id
    ) AS place
  FROM dialysis_joined
  WHERE event_type = 'sign_in'
)
SELECT
  r.event_id AS session,
  r.institution_id,
  r.person_id,
  r.joined_by,
  r.occurred_at AS signed_in_at,
  r.occurred_at_day AS signed_in_day,
  r.utc_offset_us,
  r.outcome,
  r.pad,
  r.clock_trusted,
  r.verified,
  r.max_session_us,
  r.resume_us,
  lead(r.occurred_at) OVER (
    PARTITION BY r.institution_id, r.person_id ORDER BY r.occurred_at, r.event_id
  ) AS next_sign_in_at
FROM ranked r
WHERE r.place = 1
