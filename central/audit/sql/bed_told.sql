-- For which months each institution has told its stays. One that is still open tells only of the month it began in.
WITH months AS (
  SELECT month, min(day) AS first_day, max(day) AS last_day FROM bed_calendar GROUP BY month
)
SELECT DISTINCT s.institution_id, m.month
FROM (SELECT DISTINCT institution_id, first_day, coalesce(last_day, first_day) AS last_day FROM bed_visits) s
JOIN months m ON s.first_day <= m.last_day AND s.last_day >= m.first_day
