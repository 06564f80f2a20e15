-- Bed lines entered after their stay had ended, with the last day that they are for: those of several days (entered at
-- the settlement) and those that a nightly batch wrote soon after midnight have the last day of that stay. Lines of one
-- day of somebody who had died share the days of the stay for which no other bed was billed, the last line the last day;
-- those that find none have the last day, as they would have had alone.
WITH asked AS (
  SELECT l.*, l.service_time + l.utc_offset_us AS local_time, coalesce(l.service_day > l.death_date, false) AS died
  FROM bed_lines l
  ANTI JOIN bed_visits v
    ON l.institution_id = v.institution_id
    AND l.person_id = v.person_id
    AND l.service_day >= v.first_day
    AND (v.last_day IS NULL OR l.service_day <= v.last_day)
    AND (l.death_date IS NULL OR l.service_day <= l.death_date)
  WHERE NOT l.spanned OR l.service_day > l.death_date
),
candidates AS (
  SELECT a.*, v.first_day AS stay_first_day, v.last_day AS stay_last_day, v.ended_at
  FROM asked a
  JOIN bed_visits v ON a.institution_id = v.institution_id AND a.visit_id = v.visit_id
  UNION ALL
  SELECT a.*, v.first_day AS stay_first_day, v.last_day AS stay_last_day, v.ended_at
  FROM asked a
  JOIN bed_visits v ON a.institution_id = v.institution_id AND a.person_id = v.person_id
),
ended AS (
  SELECT *, CASE WHEN died THEN least(stay_last_day, death_date) ELSE stay_last_day END AS end_day
  FROM candidates
  WHERE ended_at IS NOT NULL
),
serving AS (
  SELECT e.*, e.died AND e.days = 1 AND e.amount <> 0 AS shares
  FROM ended e
  JOIN bed_calendar c ON e.service_day = c.day
  WHERE e.end_day >= e.stay_first_day
    AND e.end_day < e.service_day
    AND (NOT e.died OR e.ended_at + e.utc_offset_us <= (e.death_date + 1) * 86400000000 + c.posting_grace_us)
    AND CASE
      WHEN e.days > 1 OR e.died THEN e.service_time <= e.ended_at + c.late_us
      ELSE e.local_time < (e.stay_last_day + 1) * 86400000000 + c.night_posting_us
    END
),
latest AS (
  SELECT line, line_id, institution_id, person_id, service_time, shares, max(end_day) AS end_day
  FROM serving
  GROUP BY line, line_id, institution_id, person_id, service_time, shares
),
sharers AS (
  SELECT DISTINCT institution_id, person_id FROM latest WHERE shares
),
taken AS (
  SELECT l.institution_id, l.person_id, coalesce(e.end_day, l.service_day) - n.number AS day
  FROM bed_lines l
  SEMI JOIN sharers s ON l.institution_id = s.institution_id AND l.person_id = s.person_id
  JOIN bed_calendar c ON l.service_day = c.day
  JOIN bed_numbers n ON n.number < least(l.days, c.longest_line_days)
  LEFT JOIN latest e ON l.line = e.line
  WHERE l.amount <> 0 AND NOT coalesce(e.shares, false)
  UNION ALL
  SELECT b.institution_id, b.person_id, b.service_day - n.number AS day
  FROM bed_before b
  SEMI JOIN sharers s ON b.institution_id = s.institution_id AND b.person_id = s.person_id
  JOIN bed_calendar c ON b.service_day = c.day
  JOIN bed_numbers n ON n.number < least(b.days, c.longest_line_days)
  WHERE b.amount <> 0
),
stay_days AS (
  SELECT DISTINCT e.institution_id, e.person_id, c.day
  FROM serving e
  JOIN bed_calendar c ON c.day BETWEEN e.stay_first_day AND e.end_day
  WHERE e.shares
),
free AS (
  SELECT
    d.institution_id,
    d.person_id,
    d.day,
    row_number() OVER (PARTITION BY d.institution_id, d.person_id ORDER BY d.day DESC) AS place,
    count(*) OVER (PARTITION BY d.institution_id, d.person_id) AS days
  FROM stay_days d
  ANTI JOIN taken t ON d.institution_id = t.institution_id AND d.person_id = t.person_id AND d.day = t.day
),
queued AS (
  SELECT
    *,
    row_number() OVER (PARTITION BY institution_id, person_id ORDER BY service_time DESC, line_id DESC) AS place,
    count(*) OVER (PARTITION BY institution_id, person_id) AS lines
  FROM latest
  WHERE shares
)
SELECT line, end_day FROM latest WHERE NOT shares
UNION ALL
SELECT q.line, coalesce(f.day, q.end_day) AS end_day
FROM queued q
LEFT JOIN free f
  ON q.institution_id = f.institution_id
  AND q.person_id = f.person_id
  AND f.place = q.place - greatest(0, q.lines - f.days)
