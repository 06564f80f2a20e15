-- Dialysis sessions with what shows the stay, and what each can do for a line (standing). A treatment that was
-- interrupted and went on is one session, whose parts add up; its further evidence is that of all parts.
-- Standings, in order of precedence: 0 verified_session, 1 corroborated_manual, 2 too_short,
-- 3 manual_uncorroborated, 4 no_sign_out, 5 pad_not_shown, 6 clock_untrusted.
SELECT
  p.session,
  p.institution_id,
  p.person_id,
  p.person_here,
  p.signed_in_at,
  p.first_day,
  p.last_day,
  p.ended_at,
  p.surely_until,
  p.watched_until,
  p.sign_in_verified,
  p.clock_trusted,
  p.sign_out,
  p.run,
  p.run_started_at,
  p.presence,
  p.shown_us,
  p.required_us,
  p.standing,
  p.carries,
  CAST(NULL AS VARCHAR[]) AS further
FROM session_parts p
ANTI JOIN resumed_parts r ON p.session = r.session
UNION ALL
SELECT
  whole AS session,
  institution_id,
  person_id,
  person_here,
  min(signed_in_at) AS signed_in_at,
  min(first_day) AS first_day,
  max(last_day) AS last_day,
  max(ended_at) AS ended_at,
  max(surely_until) AS surely_until,
  max(watched_until) AS watched_until,
  max(CASE WHEN sign_in_verified THEN 1 ELSE 0 END) = 1 AS sign_in_verified,
  max(CASE WHEN clock_trusted THEN 1 ELSE 0 END) = 1 AS clock_trusted,
  max(CASE WHEN NOT resumed THEN sign_out END) AS sign_out,
  max(CASE WHEN NOT goes_on THEN run END) AS run,
  max(CASE WHEN NOT goes_on THEN run_started_at END) AS run_started_at,
  max(presence) AS presence,
  CAST(sum(part_us) AS BIGINT) AS shown_us,
  max(CASE WHEN NOT goes_on THEN required_us END) AS required_us,
  CASE
    WHEN min(standing) = 0 THEN 0
    WHEN sum(CASE WHEN carries = 0 THEN part_us ELSE 0 END) >= max(CASE WHEN NOT goes_on THEN required_us END) THEN 0
    WHEN min(standing) = 1 THEN 1
    WHEN max(standing) = 2 THEN 2
    ELSE min(CASE WHEN standing >= 3 THEN standing END)
  END AS standing,
  min(carries) AS carries,
  flatten(array_agg(list_filter([session, sign_out, run, presence], lambda x: x IS NOT NULL))) AS further
FROM resumed_parts
GROUP BY whole, institution_id, person_id, person_here
