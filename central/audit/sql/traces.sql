-- Everything at the institution that bears the person's name on the day of an open line.
-- A name typed at another counter is no treatment (weak), though it shows that somebody was there for the person.
-- An event with an untrusted clock also counts on the day it was received; its own day proves nothing.
-- A machine run counts when it lasted at least half of the time that was asked for.
WITH asked AS (
  SELECT l.line, min(greatest(p.session_minutes, l.min_prescribed_minutes)) * 60000000 AS asked_us
  FROM open_lines l
  JOIN prescriptions p
    ON l.person_here = p.person_here
    AND l.service_day >= p.valid_from
    AND (p.valid_to IS NULL OR l.service_day <= p.valid_to)
  WHERE p.modality <> 'peritoneal_dialysis'
  GROUP BY l.line
)
SELECT
  l.line,
  e.event_id AS trace,
  CASE
    WHEN e.outcome IN ('non_match', 'attack_suspected') THEN 'attempt'
    WHEN e.purpose <> 'dialysis' AND NOT e.verified THEN 'weak'
    WHEN e.outcome = 'not_acquired' THEN 'not_acquired'
    ELSE 'shown'
  END AS kind,
  e.clock_trusted,
  e.purpose = 'dialysis' AS dialysis,
  e.occurred_at AS from_at,
  e.occurred_at AS until_at
FROM open_lines l
JOIN attendance e
  ON l.person_here = e.person_here
  AND (l.service_day = e.occurred_at_day OR (NOT e.clock_trusted AND l.service_day = e.received_at_day))
UNION ALL
SELECT
  l.line,
  m.machine_id || '@' || CAST(m.started_at // 1000000 AS VARCHAR) AS trace,
  'run' AS kind,
  true AS clock_trusted,
  true AS dialysis,
  m.started_at AS from_at,
  m.ended_at AS until_at
FROM open_lines l
JOIN machine_sessions m
  ON l.person_here = m.person_here
  AND l.service_day BETWEEN m.started_at_day AND m.ended_at_day
LEFT JOIN asked a ON l.line = a.line
WHERE CASE
  WHEN l.hours_us IS NOT NULL THEN m.ended_at - m.started_at >= l.hours_us
  ELSE (m.ended_at - m.started_at) * 2 >= coalesce(a.asked_us, l.min_session_us)
END
UNION ALL
SELECT
  l.line,
  c.check_id AS trace,
  'shown' AS kind,
  true AS clock_trusted,
  false AS dialysis,
  coalesce(c.answered_at, c.drawn_at) AS from_at,
  coalesce(c.answered_at, c.drawn_at) AS until_at
FROM open_lines l
JOIN spot_checks c
  ON l.person_here = c.person_here
  AND l.service_day = coalesce(c.answered_at_day, c.drawn_at_day)
WHERE c.result = 'present'
