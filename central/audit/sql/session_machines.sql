-- The run of a dialysis machine that names the person and shows the longest stay in each session; and how long a
-- stay is shown by a run that began only after the sign-out (later_us).
-- Nearly always there is one, which is taken as it is; only where there are several are they ranked.
WITH runs AS (
  SELECT
    s.session,
    m.machine_id || '@' || CAST(m.started_at // 1000000 AS VARCHAR) AS run,
    m.ended_at - least(m.started_at, s.signed_in_at) AS shown_us,
    m.ended_at - s.signed_in_at AS later_us,
    m.started_at,
    m.ended_at,
    m.started_at <= s.watched_until AS during,
    m.source = 'device' AS by_device
  FROM session_spans s
  JOIN machine_sessions m
    ON s.person_here = m.person_here
    AND m.started_at <= s.afterwards_until
    AND m.ended_at >= s.signed_in_at
),
several AS (
  SELECT session FROM runs GROUP BY session HAVING count(*) > 1
),
ranked AS (
  SELECT
    r.*,
    row_number() OVER (
      PARTITION BY r.session ORDER BY CASE WHEN r.during THEN 0 ELSE 1 END, r.shown_us DESC, r.run
    ) AS place,
    max(CASE WHEN NOT r.during THEN r.later_us END) OVER (PARTITION BY r.session) AS longest_later_us,
    max(CASE WHEN r.during AND r.by_device THEN 1 ELSE 0 END) OVER (PARTITION BY r.session) AS device_runs
  FROM runs r
  SEMI JOIN several s ON r.session = s.session
),
chosen AS (
  SELECT session, run, shown_us, started_at, ended_at, during, longest_later_us, device_runs
  FROM ranked
  WHERE place = 1
  UNION ALL
  SELECT
    r.session,
    r.run,
    r.shown_us,
    r.started_at,
    r.ended_at,
    r.during,
    CASE WHEN NOT r.during THEN r.later_us END AS longest_later_us,
    CASE WHEN r.during AND r.by_device THEN 1 ELSE 0 END AS device_runs
  FROM runs r
  ANTI JOIN several s ON r.session = s.session
)
SELECT
  session,
  CASE WHEN during THEN run END AS run,
  CASE WHEN during THEN shown_us END AS shown_us,
  CASE WHEN during THEN started_at END AS started_at,
  CASE WHEN during THEN ended_at END AS ended_at,
  longest_later_us AS later_us,
  device_runs > 0 AS device_run
FROM chosen
