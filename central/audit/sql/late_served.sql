-- What the sessions before its fee say about each line that has any.
SELECT
  a.line,
  count(*) AS sessions,
  count(CASE WHEN s.standing <= 1 THEN 1 END) AS supporting,
  flatten(array_agg(list_concat(
    list_filter([s.session, s.sign_out, s.run, s.presence], lambda x: x IS NOT NULL),
    coalesce(s.further, CAST([] AS VARCHAR[]))
  ))) AS evidence
FROM late_assigned a
JOIN dialysis_sessions s ON a.session = s.session
GROUP BY a.line
