-- The stay of each visit: from its first admission to its last discharge, over all beds in between. It is open as
-- long as any stretch of it is.
SELECT
  min(institution_id) AS institution_id,
  min(visit_id) AS visit_id,
  visit_here,
  min(person_id) AS person_id,
  min(admitted_at_day) AS first_day,
  CASE WHEN count(discharged_at) = count(*) THEN max(discharged_at_day) END AS last_day,
  CASE WHEN count(discharged_at) = count(*) THEN max(discharged_at) END AS ended_at
FROM stays
GROUP BY visit_here
