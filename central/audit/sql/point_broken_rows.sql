-- Rows that could not be read and may have cleared somebody at a place: an event or a run of the institution.
SELECT b.source, h.place AS institution_id, b.person_id, b.from_day, 'dialysis' AS purpose
FROM broken_rows b
JOIN point_houses h ON b.institution_id = h.institution_id
WHERE b.source IN ('attendance', 'machine_sessions') AND b.person_id IS NOT NULL
