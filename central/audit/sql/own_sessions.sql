-- For each line without session: what shows the person here about that time, a session (of another line, or one spent
-- elsewhere) or a machine run, and whether all of it was spent at another institution.
WITH own AS (
  SELECT l.line, c.evidence
  FROM bare_lines l
  JOIN dialysis_sessions s
    ON l.institution_id = s.institution_id
    AND l.person_id = s.person_id
  LEFT JOIN session_conflicts c ON s.session = c.session
  WHERE (s.signed_in_at <= l.service_time + l.match_window_us AND s.ended_at >= l.service_time - l.match_window_us)
    OR l.service_day BETWEEN s.first_day AND s.last_day
  UNION ALL
  SELECT r.line, c.evidence
  FROM own_runs r
  LEFT JOIN run_conflicts c ON r.line = c.line AND r.run = c.run
)
SELECT
  line,
  count(CASE WHEN evidence IS NULL THEN 1 END) AS here,
  array_agg(DISTINCT evidence) AS elsewhere
FROM own
GROUP BY line
