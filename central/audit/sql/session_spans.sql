-- Sign-in and sign-out side by side, the span of the session in which a second witness may be looked for, and the
-- longer one (up to the next sign-in) in which something may still show that a verified sign-out came too early.
-- resumed: the next sign-in follows so soon that it goes on with the treatment.
WITH spans AS (
  SELECT
    i.session,
    i.institution_id,
    i.person_id,
    i.person_here,
    i.signed_in_at,
    i.signed_in_day,
    i.utc_offset_us,
    i.outcome,
    i.pad,
    i.clock_trusted,
    i.verified,
    o.event_id AS sign_out,
    o.occurred_at AS signed_out_at,
    o.outcome AS out_outcome,
    o.pad AS out_pad,
    o.clock_trusted AS out_clock_trusted,
    coalesce(o.verified, false) AS out_verified,
    CASE
      WHEN o.event_id IS NULL THEN least(i.signed_in_at + i.max_session_us, i.next_sign_in_at)
      WHEN o.clock_trusted THEN o.occurred_at
      ELSE least(o.occurred_at, i.signed_in_at + i.max_session_us)
    END AS watched_until,
    least(i.signed_in_at + i.max_session_us, i.next_sign_in_at) AS next_at,
    coalesce(i.next_sign_in_at BETWEEN o.occurred_at AND o.occurred_at + i.resume_us, false) AS resumed
  FROM sign_ins i
  LEFT JOIN sign_outs o ON i.session = o.session
)
SELECT
  *,
  CASE WHEN verified AND out_verified THEN greatest(watched_until, next_at) ELSE watched_until END AS afterwards_until
FROM spans
