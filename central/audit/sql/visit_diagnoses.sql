-- The diagnoses of each visit, in capitals and without points, as knowledge names them.
SELECT DISTINCT
  institution_id,
  person_id,
  visit_id,
  translate(upper(diagnosis_code), ' .,-_+*/†()', '') AS diagnosis
FROM diagnoses
WHERE diagnosis_code IS NOT NULL AND translate(upper(diagnosis_code), ' .,-_+*/†()', '') <> ''
