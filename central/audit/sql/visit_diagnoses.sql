-- The diagnoses of each visit, in capitals and without points, as knowledge names them.
SELECT DISTINCT
  institution_id,
  person_id,
  visit_id,
  diagnosis_caps AS diagnosis
FROM diagnoses
WHERE diagnosis_caps <> ''
