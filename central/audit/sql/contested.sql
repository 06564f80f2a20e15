-- Persons at an institution for whom two lines of one class choose the same session.
-- Everybody else's choice is already the best assignment: each line has the best sessions it could have.
SELECT institution_id, person_id, item_class
FROM session_picks
GROUP BY institution_id, person_id, item_class
HAVING count(*) > count(DISTINCT session)
