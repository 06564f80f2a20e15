-- Lines that lack a session in their window, with how many they lack.
SELECT
  l.*,
  l.needed - coalesce(v.sessions, 0) AS lacking
FROM dialysis_lines l
LEFT JOIN served v ON l.line = v.line
WHERE l.needed > coalesce(v.sessions, 0)
