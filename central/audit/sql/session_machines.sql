-- The run of a dialysis machine that names the person and shows the longest stay in each session.
WITH runs AS (
  SELECT
    s.session,
    m.machine_id || '@' || CAST(m.started_at // 1000000 AS VARCHAR) AS run,
    m.ended_at - least(m.started_at, s.signed_in_at) AS shown_us,
    m.started_at,
    m.ended_at
  FROM session_spans s
  JOIN machine_sessions m
    ON s.institution_id = m.institution_id
    AND s.person_id = m.person_id
    AND m.started_at <= s.watched_until
    AND m.ended_at >= s.signed_in_at
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY session ORDER BY shown_us DESC, run) AS place
  FROM runs
)
SELECT session, run, shown_us, started_at, ended_at
FROM ranked
WHERE place = 1
