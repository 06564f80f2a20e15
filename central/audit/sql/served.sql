-- What the sessions assigned in the window say about each line that has any.
-- Lines that need one session, nearly all, are read off; the others are summed up.
WITH each AS (
  SELECT
    a.line,
    l.needed,
    s.standing,
    s.sign_in_verified,
    CASE
      WHEN s.further IS NULL THEN list_filter([s.session, s.sign_out, s.run, s.presence], lambda x: x IS NOT NULL)
      ELSE list_distinct(list_concat(
        list_filter([s.session, s.sign_out, s.run, s.presence], lambda x: x IS NOT NULL),
        coalesce(s.further, CAST([] AS VARCHAR[]))
      ))
    END AS evidence
  FROM assigned a
  JOIN dialysis_lines l ON a.line = l.line
  JOIN dialysis_sessions s ON a.session = s.session
)
SELECT
  line,
  CAST(1 AS BIGINT) AS sessions,
  CASE WHEN standing <= 1 THEN standing END AS weakest_support,
  CAST(CASE WHEN standing <= 1 THEN 1 ELSE 0 END AS BIGINT) AS supporting,
  CASE WHEN standing >= 2 THEN standing END AS failing,
  evidence
FROM each
WHERE needed = 1
UNION ALL
SELECT
  line,
  count(*) AS sessions,
  max(CASE WHEN standing <= 1 THEN standing END) AS weakest_support,
  count(CASE WHEN standing <= 1 THEN 1 END) AS supporting,
  min(CASE WHEN standing >= 2 THEN standing END) AS failing,
  flatten(array_agg(evidence)) AS evidence
FROM each
WHERE needed > 1
GROUP BY line
