-- Bed-day lines with a moment of absence that an examination or a transfer explains.
SELECT line_id, array_agg(evidence) AS evidence
FROM (
  SELECT line_id, check_id AS evidence FROM bed_checks WHERE on_errand = 1
  UNION ALL
  SELECT line_id, event_id AS evidence FROM bed_away WHERE on_errand = 1
) explained
GROUP BY line_id
