-- The days of the bed lines of several days: the last one and those before it. The oldest day listed carries what is
-- left of the quantity: a part of a day, or, of a quantity beyond every stay, all the rest.
SELECT
  l.line,
  coalesce(e.end_day, l.service_day) - n.number AS day,
  CASE
    WHEN n.number = least(l.days, c.longest_line_days) - 1 THEN l.weight - 10000 * n.number
    ELSE CAST(10000 AS BIGINT)
  END AS share
FROM bed_lines l
JOIN bed_calendar c ON l.service_day = c.day
JOIN bed_numbers n ON n.number < least(l.days, c.longest_line_days)
LEFT JOIN bed_late e ON l.line = e.line
WHERE l.days > 1
