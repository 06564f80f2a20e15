-- How many days on which a session of a bundled line may have been were not covered. A line of more than two sessions
-- speaks of several days.
SELECT
  l.line,
  count(CASE WHEN d.day IS NULL THEN 1 END) AS uncovered_days
FROM open_lines l
JOIN windows w ON w.day BETWEEN l.service_day - l.late_billing_days AND l.service_day
LEFT JOIN watched_days d ON l.institution_id = d.institution_id AND w.day = d.day
WHERE l.needed > 2 AND w.purpose = 'dialysis'
GROUP BY l.line
