-- Bed days that no stay there spans, neither of their visit nor of the person, although the institution has told its
-- stays of that month, or has told of the very stay that a line of several days reaches back beyond.
SELECT DISTINCT b.line, b.day
FROM bed_parts b
JOIN bed_calendar c ON b.day = c.day
LEFT JOIN bed_told t ON b.institution_id = t.institution_id AND c.month = t.month
ANTI JOIN bed_visits v
  ON b.institution_id = v.institution_id
  AND b.person_id = v.person_id
  AND b.day >= v.first_day
  AND (v.last_day IS NULL OR b.day <= v.last_day)
WHERE (b.first_day IS NULL OR b.day < b.first_day OR b.day > b.last_day)
  AND (t.month IS NOT NULL OR (b.days > 1 AND b.day < b.first_day AND b.service_day >= b.first_day))
