-- The days on which an institution has a line without session.
SELECT DISTINCT institution_id, service_day AS day
FROM open_lines
