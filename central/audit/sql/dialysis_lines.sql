-- Lines of the haemodialysis family and how many sessions each needs; a line by the hour needs time (hours_us),
-- unless only its yuan are left, which stand for one session. To perfusion alone other treatment of the session may be
-- added on another day (not alone); parts of the body are treated in one session.
-- A part of a session that was billed is rounded down, but never to none.
-- A line after the day of death is for a treatment that ended by it, or shortly after (ended_by); others have none.
-- What a batch wrote in the night after the death is of the day of death.
WITH dated AS (
  SELECT
    l.*,
    p.death_date,
    CASE
      WHEN l.service_day > p.death_date
        AND l.service_time + l.utc_offset_us < (p.death_date + 1) * 86400000000 + least(d.night_posting_us, d.posting_grace_us)
        THEN p.death_date
      ELSE l.service_day
    END AS dated_day
  FROM scope_lines l
  JOIN days d ON l.service_day = d.day
  LEFT JOIN persons p ON l.person_id = p.person_id
  WHERE l.item_class <> 'bed_day'
)
SELECT
  l.line,
  l.line_id,
  l.institution_id,
  l.visit_id,
  l.person_id,
  l.person_here,
  l.item_class,
  l.service_time,
  l.dated_day AS service_day,
  l.in_period,
  l.amount,
  l.alone,
  CASE WHEN l.item_unit IN ('hour', 'part') THEN 1 ELSE greatest(1, CAST(floor(l.quantity) AS BIGINT)) END AS needed,
  CASE
    WHEN l.item_unit = 'hour' AND l.quantity > 0
      THEN CAST(least(l.quantity, 2400) * 3600000000 AS BIGINT) * d.hour_ppm // 1000000
  END AS hours_us,
  coalesce(l.dated_day > l.death_date, false) AS dead,
  l.death_date,
  (l.death_date + 1) * 86400000000 - l.utc_offset_us + d.posting_grace_us AS ended_by,
  d.match_window_us,
  d.elsewhere_margin_us,
  d.near_us AS mid_session_us,
  d.late_billing_us,
  d.late_billing_days,
  d.late_entry_days,
  d.min_session_us,
  d.min_prescribed_minutes,
  d.shield_attempts,
  d.inpatients_sign_in
FROM dated l
JOIN days d ON l.dated_day = d.day
