-- The days on which an institution has a line without session, or on which its session may have been.
SELECT institution_id, service_day AS day
FROM open_lines
UNION
SELECT l.institution_id, w.day
FROM open_lines l
JOIN windows w ON w.day BETWEEN
  l.service_day - CASE WHEN l.needed > 2 THEN l.late_billing_days ELSE l.late_entry_days END
  AND l.service_day
WHERE w.purpose = 'dialysis'
