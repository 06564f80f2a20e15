-- Sessions that a line by the hour could take time from, in its window or before it, with the time each can give.
-- A session that serves a line by the session of the same class has none left.
WITH used AS (
  SELECT a.session, l.item_class
  FROM assigned a
  JOIN dialysis_lines l ON a.line = l.line
  UNION ALL
  SELECT a.session, l.item_class
  FROM late_assigned a
  JOIN dialysis_lines l ON a.line = l.line
),
reached AS (
  SELECT
    l.line,
    l.line_id,
    l.institution_id,
    l.person_id,
    l.item_class,
    l.service_time,
    l.hours_us,
    s.session,
    s.signed_in_at,
    CASE WHEN s.carries IS NULL THEN 0 ELSE s.shown_us END AS shown_us,
    greatest(0, s.signed_in_at - l.service_time, l.service_time - s.ended_at) AS gap_us,
    l.service_day BETWEEN s.first_day AND s.last_day AS same_day,
    NOT (
      (s.signed_in_at <= l.service_time + l.match_window_us AND s.ended_at >= l.service_time - l.match_window_us)
      OR l.service_day BETWEEN s.first_day AND s.last_day
    ) AS late
  FROM dialysis_lines l
  JOIN dialysis_sessions s
    ON l.institution_id = s.institution_id
    AND l.person_id = s.person_id
    AND s.signed_in_at >= l.service_time - greatest(l.late_billing_us, l.match_window_us + 86400000000)
    AND s.signed_in_at <= l.service_time + l.match_window_us + 86400000000
  WHERE l.hours_us IS NOT NULL
    AND (NOT l.dead OR (s.first_day <= l.death_date AND s.ended_at <= l.ended_by))
)
SELECT r.*
FROM reached r
ANTI JOIN used u ON r.session = u.session AND r.item_class = u.item_class
ANTI JOIN session_conflicts c ON r.session = c.session
WHERE NOT r.late OR r.signed_in_at <= r.service_time
