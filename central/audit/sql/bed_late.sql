-- Bed lines entered after their stay had ended, with the last day of that stay, which is the last day they are for:
-- those of several days (entered at the settlement), those of somebody who had died, and those that a nightly batch
-- wrote soon after midnight.
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
  SELECT a.line, a.service_time, a.service_day, a.local_time, a.utc_offset_us, a.days, a.died, a.death_date, v.first_day, v.last_day, v.ended_at
  FROM asked a
  JOIN bed_visits v ON a.institution_id = v.institution_id AND a.visit_id = v.visit_id
  UNION ALL
  SELECT a.line, a.service_time, a.service_day, a.local_time, a.utc_offset_us, a.days, a.died, a.death_date, v.first_day, v.last_day, v.ended_at
  FROM asked a
  JOIN bed_visits v ON a.institution_id = v.institution_id AND a.person_id = v.person_id
),
ended AS (
  SELECT *, CASE WHEN died THEN least(last_day, death_date) ELSE last_day END AS end_day
  FROM candidates
  WHERE ended_at IS NOT NULL
)
SELECT e.line, max(e.end_day) AS end_day
FROM ended e
JOIN bed_calendar c ON e.service_day = c.day
WHERE e.end_day >= e.first_day
  AND e.end_day < e.service_day
  AND (NOT e.died OR e.ended_at + e.utc_offset_us <= (e.death_date + 1) * 86400000000 + c.posting_grace_us)
  AND CASE
    WHEN e.days > 1 OR e.died THEN e.service_time <= e.ended_at + c.late_us
    ELSE e.local_time < (e.last_day + 1) * 86400000000 + c.night_posting_us
  END
GROUP BY e.line
