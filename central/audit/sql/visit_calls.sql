-- Items that are limited to some diagnoses, of which each visit has one.
SELECT DISTINCT
  d.institution_id,
  d.person_id,
  d.visit_id,
  k.item_code,
  coalesce(k.point, '') AS point_name
FROM visit_diagnoses d
JOIN known_conditions k ON k.kind = 'diagnosis' AND left(d.diagnosis, length(k.allowed)) = k.allowed
