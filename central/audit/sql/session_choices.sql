-- Which sessions each line could take. Nobody is served after death; a line whose person was elsewhere
-- can only be saved by a verified sign-in.
SELECT
  l.line,
  l.line_id,
  l.institution_id,
  l.person_id,
  l.item_class,
  l.service_time,
  l.needed,
  s.session,
  s.signed_in_at,
  s.standing <= 1 AS supporting,
  l.service_day BETWEEN s.first_day AND s.last_day AS same_day,
  greatest(0, s.signed_in_at - l.service_time, l.service_time - s.ended_at) AS gap_us
FROM dialysis_lines l
JOIN dialysis_sessions s
  ON l.institution_id = s.institution_id
  AND l.person_id = s.person_id
LEFT JOIN dialysis_elsewhere e ON l.line = e.line
WHERE NOT l.after_death
  AND (e.line IS NULL OR s.sign_in_verified)
  AND (
    (s.signed_in_at <= l.service_time + l.match_window_us AND s.ended_at >= l.service_time - l.match_window_us)
    OR l.service_day BETWEEN s.first_day AND s.last_day
  )
