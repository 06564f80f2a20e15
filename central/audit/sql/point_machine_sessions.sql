-- Runs of the machines of a place; one that two places share ran for either.
SELECT
  p.place AS institution_id,
  m.machine_id,
  m.person_id,
  p.place || '/' || m.person_id AS person_here,
  m.started_at,
  m.ended_at,
  m.started_at_day,
  m.ended_at_day,
  m.source,
  p.least_us
FROM machine_sessions m
JOIN point_machines p ON m.institution_id = p.institution_id AND m.machine_id = p.machine_id
