-- Who was billed a bed where, numbered: whole numbers join faster than pairs of texts.
SELECT institution_id, person_id, row_number() OVER (ORDER BY institution_id, person_id) AS inpatient
FROM (
  SELECT DISTINCT institution_id, person_id
  FROM scope_lines
  WHERE item_class = 'bed_day' AND service_day BETWEEN $from_day - 3 AND $to_day + 3
) billed
