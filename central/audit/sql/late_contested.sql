-- Persons for whom two late lines of one class choose the same session.
SELECT institution_id, person_id, item_class
FROM late_picks
GROUP BY institution_id, person_id, item_class
HAVING count(*) > count(DISTINCT session)
