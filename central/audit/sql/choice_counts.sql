-- The sessions an open line could have had, and how many of them touch its day.
SELECT
  c.line,
  count(*) AS sessions,
  count(CASE WHEN c.same_day THEN 1 END) AS same_day,
  array_agg(c.session) AS evidence
FROM session_choices c
SEMI JOIN open_lines l ON c.line = l.line
GROUP BY c.line
