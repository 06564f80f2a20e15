-- The sessions an open line could have had in its window, and how many of them touch its day.
WITH near AS (
  SELECT line, session, same_day FROM session_choices
  UNION ALL
  SELECT line, session, same_day FROM hour_choices WHERE NOT late
)
SELECT
  c.line,
  count(*) AS sessions,
  count(CASE WHEN c.same_day THEN 1 END) AS same_day,
  array_agg(c.session) AS evidence
FROM near c
SEMI JOIN open_lines l ON c.line = l.line
GROUP BY c.line
