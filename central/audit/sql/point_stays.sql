-- Stays at the institution of each place.
SELECT
  s.visit_id,
  h.place AS institution_id,
  s.person_id,
  s.admitted_at,
  s.admitted_at_day,
  s.discharged_at,
  s.discharged_at_day,
  h.to_the_bed
FROM stays s
JOIN point_houses h ON s.institution_id = h.institution_id
