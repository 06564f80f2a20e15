-- Bed days with a spot check that found the person absent, or somebody else, and no leave for it.
SELECT line, day, array_agg(check_id) AS evidence
FROM bed_checks
WHERE result IN ('absent', 'identity_mismatch') AND on_leave = 0
GROUP BY line, day
