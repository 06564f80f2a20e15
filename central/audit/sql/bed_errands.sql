-- Bed days with a moment of absence that an examination or a transfer explains.
SELECT line, day, array_agg(evidence) AS evidence
FROM (
  SELECT line, day, check_id AS evidence FROM bed_checks WHERE on_errand = 1
  UNION ALL
  SELECT line, day, event_id AS evidence FROM bed_away WHERE on_errand = 1
) explained
GROUP BY line, day
