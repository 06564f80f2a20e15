-- One sign-in a session: the one that can carry most, then the first.
-- Nearly always there is one, which is taken as it is; only where there are several are they ranked.
WITH several AS (
  SELECT person_here, joined_by
  FROM dialysis_joined
  WHERE event_type = 'sign_in'
  GROUP BY person_here, joined_by
  HAVING count(*) > 1
),
ranked AS (
  SELECT
    j.*,
    row_number() OVER (
      PARTITION BY j.person_here, j.joined_by
      ORDER BY
        CASE
          WHEN j.verified THEN 0
          WHEN j.outcome IN ('manual', 'declined') THEN 1
          WHEN j.pad = 'bona_fide' THEN 2
          ELSE 3
        END,
        j.occurred_at,
        j.event_id
    ) AS place
  FROM dialysis_joined j
  SEMI JOIN several s
    ON j.person_here = s.person_here AND j.joined_by = s.joined_by
  WHERE j.event_type = 'sign_in'
),
chosen AS (
  SELECT j.*, 1 AS place
  FROM dialysis_joined j
  ANTI JOIN several s
    ON j.person_here = s.person_here AND j.joined_by = s.joined_by
  WHERE j.event_type = 'sign_in'
  UNION ALL
  SELECT * FROM ranked WHERE place = 1
)
SELECT
  r.event_id AS session,
  r.institution_id,
  r.person_id,
  r.person_here,
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
    PARTITION BY r.person_here ORDER BY r.occurred_at, r.event_id
  ) AS next_sign_in_at
FROM chosen r
