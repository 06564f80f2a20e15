-- Bed days with a moment of absence that is neither explained nor contradicted: away with approval but without the
-- leave for it, or on an examination that has lasted longer than one may.
SELECT line, day, array_agg(evidence) AS evidence
FROM (
  SELECT line, day, check_id AS evidence FROM bed_checks WHERE explained = 0 AND (on_leave = 1 OR result = 'away_approved')
  UNION ALL
  SELECT line, day, event_id AS evidence FROM bed_away WHERE explained = 0 AND on_leave = 1
) open_moments
GROUP BY line, day
