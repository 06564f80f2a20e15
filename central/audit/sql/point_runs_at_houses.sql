-- Runs that name the person of a line of a place without session, by the institution.
SELECT r.line, h.institution_id, r.person_id, r.run, r.started_at, r.ended_at
FROM point_own_runs r
JOIN point_houses h ON r.institution_id = h.place
