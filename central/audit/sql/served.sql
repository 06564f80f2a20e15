-- What the assigned sessions say about each line that has any.
SELECT
  a.line_id,
  count(*) AS sessions,
  max(CASE WHEN s.standing <= 1 THEN s.standing END) AS weakest_support,
  count(CASE WHEN s.standing <= 1 THEN 1 END) AS supporting,
  min(CASE WHEN s.standing >= 2 THEN s.standing END) AS failing,
  max(CASE WHEN s.sign_in_verified THEN 1 ELSE 0 END) = 1 AS sign_in_verified,
  flatten(array_agg(list_filter([s.session, s.sign_out, s.run, s.presence], lambda x: x IS NOT NULL))) AS evidence
FROM assigned a
JOIN dialysis_sessions s ON a.session = s.session
GROUP BY a.line_id
