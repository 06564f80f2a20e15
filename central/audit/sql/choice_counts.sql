-- The sessions an open line could have had.
SELECT c.line_id, count(*) AS sessions, array_agg(c.session) AS evidence
FROM session_choices c
SEMI JOIN open_lines l ON c.line_id = l.line_id
GROUP BY c.line_id
