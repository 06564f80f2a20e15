-- What keeps a line from being refuted: a machine run that could have been the treatment, one line of a class; an
-- attempt in which the camera took no picture, a few lines a person a month; a broken row that could have been the
-- sign-in, presence or run, one line, of its day if that could be read.
WITH by_run AS (
  SELECT
    line,
    row_number() OVER (
      PARTITION BY institution_id, person_id, item_class, service_day ORDER BY service_time, line_id
    ) <= runs AS shielded
  FROM refutable_lines
  WHERE runs > 0
),
by_attempt AS (
  SELECT
    l.line,
    row_number() OVER (
      PARTITION BY l.institution_id, l.person_id, c.month ORDER BY l.service_time, l.line_id
    ) <= l.shield_attempts AS shielded
  FROM refutable_lines l
  JOIN calendar c ON l.service_day = c.day
  ANTI JOIN (SELECT line FROM by_run WHERE shielded) r ON l.line = r.line
  WHERE l.not_acquired > 0
),
unread AS (
  SELECT institution_id, person_id, from_day AS day, count(*) AS broken
  FROM broken_rows
  WHERE source = 'machine_sessions' OR (source = 'attendance' AND coalesce(purpose, 'dialysis') = 'dialysis')
  GROUP BY institution_id, person_id, from_day
),
rest AS (
  SELECT l.*
  FROM refutable_lines l
  SEMI JOIN unread u ON l.institution_id = u.institution_id AND l.person_id = u.person_id
  ANTI JOIN (SELECT line FROM by_run WHERE shielded) r ON l.line = r.line
  ANTI JOIN (SELECT line FROM by_attempt WHERE shielded) a ON l.line = a.line
),
of_day AS (
  SELECT
    l.line,
    row_number() OVER (
      PARTITION BY l.institution_id, l.person_id, l.service_day ORDER BY l.service_time, l.line_id
    ) <= u.broken AS shielded
  FROM rest l
  JOIN unread u ON l.institution_id = u.institution_id AND l.person_id = u.person_id AND l.service_day = u.day
),
of_any_day AS (
  SELECT
    l.line,
    row_number() OVER (PARTITION BY l.institution_id, l.person_id ORDER BY l.service_time, l.line_id) <= u.broken AS shielded
  FROM rest l
  JOIN unread u ON l.institution_id = u.institution_id AND l.person_id = u.person_id AND u.day IS NULL
  ANTI JOIN (SELECT line FROM of_day WHERE shielded) d ON l.line = d.line
)
SELECT line, 'machine_run' AS shield FROM by_run WHERE shielded
UNION ALL
SELECT line, 'not_acquired' AS shield FROM by_attempt WHERE shielded
UNION ALL
SELECT line, 'broken_row' AS shield FROM of_day WHERE shielded
UNION ALL
SELECT line, 'broken_row' AS shield FROM of_any_day WHERE shielded
