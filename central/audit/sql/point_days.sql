-- The parameters of the dialysis steps, day by day, as they hold for service points: what a point asks for is asked
-- as it is, and a door is passed by inpatients too.
SELECT
  day,
  match_window_us,
  max_session_us,
  CAST(0 AS BIGINT) AS mid_session_us,
  near_us,
  point_repeat_us AS min_session_us,
  CAST(1000000 AS BIGINT) AS min_duration_ppm,
  hour_ppm,
  elsewhere_margin_us,
  coverage_needed_ppm,
  late_billing_days,
  late_entry_days,
  late_billing_us,
  posting_grace_us,
  night_posting_us,
  resume_us,
  CAST(0 AS BIGINT) AS min_prescribed_minutes,
  CAST(0 AS BIGINT) AS inpatients_sign_in,
  shield_attempts,
  hospital_log_corroborates
FROM days
