-- Machine runs at the institution that name the person of a line without session, in its window or on its day.
SELECT
  l.line,
  l.institution_id,
  l.person_id,
  m.machine_id || '@' || CAST(m.started_at // 1000000 AS VARCHAR) AS run,
  m.started_at,
  m.ended_at
FROM bare_lines l
JOIN machine_sessions m
  ON l.institution_id = m.institution_id
  AND l.person_id = m.person_id
WHERE (m.started_at <= l.service_time + l.match_window_us AND m.ended_at >= l.service_time - l.match_window_us)
  OR l.service_day BETWEEN m.started_at_day AND m.ended_at_day
