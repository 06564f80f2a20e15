-- How much time is shown for each line by the hour, and by what.
SELECT
  a.line,
  CAST(sum(a.used_us) AS BIGINT) AS used_us,
  max(CASE WHEN a.used_us > 0 THEN s.carries END) AS weakest_support,
  min(CASE WHEN s.carries IS NULL THEN s.standing END) AS failing,
  max(CASE WHEN a.late THEN 1 ELSE 0 END) AS late,
  flatten(array_agg(list_concat(
    list_filter([s.session, s.sign_out, s.run, s.presence], lambda x: x IS NOT NULL),
    coalesce(s.further, CAST([] AS VARCHAR[]))
  ))) AS evidence
FROM hours_assigned a
JOIN dialysis_sessions s ON a.session = s.session
GROUP BY a.line
