-- Who was billed a bed where, each by the number of person and institution.
SELECT min(institution_id) AS institution_id, min(person_id) AS person_id, person_here AS inpatient
FROM scope_lines
WHERE item_class = 'bed_day' AND service_day BETWEEN $from_day - 3 AND $to_day + 3
GROUP BY person_here
