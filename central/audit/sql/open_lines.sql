-- Lines that lack a session, with the moment after which an event belongs to that local day.
SELECT
  l.line,
  l.institution_id,
  l.person_id,
  l.service_day,
  l.mid_session_us,
  l.needed - coalesce(v.sessions, 0) AS lacking
FROM dialysis_lines l
LEFT JOIN served v ON l.line = v.line
WHERE l.needed > coalesce(v.sessions, 0)
  AND NOT l.after_death
  AND l.in_period
