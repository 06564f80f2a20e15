-- None: who lay in a bed when somebody looked was in no room then.
SELECT check_id, institution_id, person_here, result, answered_at, answered_at_day, drawn_at, drawn_at_day
FROM spot_checks
WHERE 1 = 0
