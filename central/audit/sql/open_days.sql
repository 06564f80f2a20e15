-- The days on which an institution has a line without session, or on which its session may have been.
WITH lacking AS (
  SELECT DISTINCT institution_id, service_day, late_billing_days
  FROM open_lines
)
SELECT institution_id, service_day AS day
FROM lacking
UNION
SELECT l.institution_id, w.day
FROM lacking l
JOIN windows w ON w.day BETWEEN l.service_day - l.late_billing_days AND l.service_day
WHERE w.purpose = 'dialysis'
