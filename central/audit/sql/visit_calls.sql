-- Items that are limited to some diagnoses, of which each visit has one. A diagnosis that begins like the one that
-- is asked for stands from it up to the text with the sign that follows Z: codes are of digits and capitals.
SELECT DISTINCT
  d.institution_id,
  d.person_id,
  d.visit_id,
  k.item_code,
  coalesce(k.point, '') AS point_name
FROM visit_diagnoses d
JOIN known_conditions k ON k.kind = 'diagnosis' AND d.diagnosis >= k.allowed
  AND d.diagnosis < k.allowed || '['
