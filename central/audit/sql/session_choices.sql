-- Which sessions each line could take in its window. Nobody is served after death but by a treatment that ended by it,
-- and no session serves that the person spent at another institution.
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
  ON l.person_here = s.person_here
ANTI JOIN session_conflicts c ON s.session = c.session
WHERE l.hours_us IS NULL
  AND (NOT l.dead OR (s.first_day <= l.death_date AND s.ended_at <= l.ended_by))
  AND (
    (s.signed_in_at <= l.service_time + l.match_window_us AND s.ended_at >= l.service_time - l.match_window_us)
    OR l.service_day BETWEEN s.first_day AND s.last_day
  )
