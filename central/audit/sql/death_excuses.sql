-- Lines after the day of death that are no bills for a dead person: a stay of the person here, or a machine run that
-- could have been the treatment and belongs to no session, ended by it within the time that a fee may be late. A run
-- excuses one line of a class.
WITH late AS (
  SELECT l.* FROM bare_lines l WHERE l.dead
),
runs AS (
  SELECT l.line, count(*) AS runs
  FROM late l
  JOIN machine_sessions m
    ON l.institution_id = m.institution_id
    AND l.person_id = m.person_id
    AND m.started_at_day <= l.death_date
    AND m.ended_at <= l.ended_by
    AND m.started_at BETWEEN l.service_time - l.late_billing_us AND l.service_time
    AND (m.ended_at - m.started_at) * 2 >= l.min_session_us
  ANTI JOIN dialysis_sessions s
    ON m.institution_id = s.institution_id
    AND m.person_id = s.person_id
    AND m.started_at <= s.watched_until + l.mid_session_us
    AND m.ended_at >= s.signed_in_at - l.mid_session_us
  GROUP BY l.line
),
placed AS (
  SELECT
    l.line,
    r.runs,
    row_number() OVER (
      PARTITION BY l.institution_id, l.person_id, l.item_class ORDER BY l.service_time, l.line_id
    ) AS place
  FROM late l
  JOIN runs r ON l.line = r.line
)
SELECT DISTINCT l.line, 'stay' AS excuse
FROM late l
JOIN stays s
  ON l.institution_id = s.institution_id
  AND l.person_id = s.person_id
  AND s.admitted_at_day <= l.death_date
  AND s.discharged_at <= l.ended_by
  AND s.discharged_at >= l.service_time - l.late_billing_us
UNION ALL
SELECT p.line, 'run' AS excuse
FROM placed p
WHERE p.place <= p.runs
