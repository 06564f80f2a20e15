-- The days on which an institution has a line without session, or one of a bundle may have been.
SELECT institution_id, service_day AS day
FROM open_lines
UNION
SELECT l.institution_id, w.day
FROM open_lines l
JOIN windows w ON w.day BETWEEN l.service_day - l.late_billing_days AND l.service_day
WHERE l.needed > 2 AND w.purpose = 'dialysis'
