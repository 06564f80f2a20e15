-- Sessions of every kind, by the institution in which they were. A purchase at a counter is none: it tells nothing of where
-- the patient was.
SELECT
  s.session,
  h.institution_id,
  s.person_id,
  s.signed_in_at,
  s.ended_at,
  s.surely_until,
  s.sign_in_verified,
  s.clock_trusted
FROM point_sessions s
JOIN point_houses h ON s.institution_id = h.place
ANTI JOIN counter_identifications c ON s.session = c.event_id
UNION ALL
SELECT session, institution_id, person_id, signed_in_at, ended_at, surely_until, sign_in_verified, clock_trusted
FROM dialysis_sessions
