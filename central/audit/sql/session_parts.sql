-- What lies between a sign-in and its sign-out, with what shows the stay, and what it can do for a line (standing);
-- for a line by the hour it carries the time that is shown, however short (carries).
-- Standings, in order of precedence: 0 verified_session, 1 corroborated_manual, 2 too_short,
-- 3 manual_uncorroborated, 4 no_sign_out, 5 pad_not_shown, 6 clock_untrusted.
WITH witnessed AS (
  SELECT
    s.*,
    m.run,
    m.shown_us AS machine_us,
    m.started_at AS run_started_at,
    m.ended_at AS machine_ended_at,
    m.later_us,
    e.event_id AS presence,
    e.occurred_at AS presence_at,
    d.mid_session_us,
    CASE
      WHEN p.minutes IS NULL THEN d.min_session_us
      ELSE greatest(p.minutes, d.min_prescribed_minutes) * 60 * d.min_duration_ppm
    END AS required_us,
    coalesce(m.device_run, false) OR (m.run IS NOT NULL AND d.hospital_log_corroborates = 1) AS run_corroborates
  FROM session_spans s
  JOIN days d ON s.signed_in_day = d.day
  LEFT JOIN session_machines m ON s.session = m.session
  LEFT JOIN session_presences e ON s.session = e.session
  LEFT JOIN session_prescriptions p ON s.session = p.session
),
measured AS (
  SELECT
    *,
    out_verified OR run IS NOT NULL OR coalesce(presence_at - signed_in_at >= mid_session_us, false) AS stay_shown,
    greatest(
      CASE WHEN out_verified THEN signed_out_at - signed_in_at ELSE 0 END,
      coalesce(machine_us, 0),
      CASE WHEN presence_at - signed_in_at >= mid_session_us THEN presence_at - signed_in_at ELSE 0 END
    ) AS shown_us,
    coalesce(signed_out_at - signed_in_at >= required_us, false) AS out_late_enough
  FROM witnessed
),
ended AS (
  SELECT
    *,
    coalesce(
      CASE WHEN sign_out IS NOT NULL THEN watched_until END,
      greatest(signed_in_at, machine_ended_at, presence_at)
    ) AS ended_at
  FROM measured
),
stood AS (
  SELECT
    *,
    CASE
      WHEN verified AND stay_shown AND shown_us >= required_us THEN 0
      WHEN outcome IN ('manual', 'declined') AND (run_corroborates OR presence IS NOT NULL) THEN 1
      WHEN verified AND out_verified AND coalesce(later_us, 0) < required_us THEN 2
      WHEN outcome IN ('manual', 'declined') THEN 3
      WHEN pad <> 'bona_fide' THEN 5
      WHEN NOT clock_trusted THEN 6
      WHEN out_late_enough AND out_outcome = 'match' AND out_pad <> 'bona_fide' THEN 5
      WHEN out_late_enough AND out_outcome = 'match' AND out_pad = 'bona_fide' AND NOT out_clock_trusted THEN 6
      ELSE 4
    END AS standing
  FROM ended
)
SELECT
  session,
  institution_id,
  person_id,
  person_here,
  signed_in_at,
  signed_in_day AS first_day,
  (ended_at + utc_offset_us) // 86400000000 AS last_day,
  ended_at,
  CASE
    WHEN out_clock_trusted THEN signed_out_at
    ELSE greatest(signed_in_at, machine_ended_at, presence_at)
  END AS surely_until,
  watched_until,
  verified AS sign_in_verified,
  clock_trusted,
  sign_out,
  run,
  run_started_at,
  presence,
  shown_us,
  required_us,
  standing,
  CASE WHEN standing <= 1 THEN standing WHEN verified AND stay_shown THEN 0 END AS carries,
  resumed
FROM stood
