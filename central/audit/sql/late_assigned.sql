-- Which session before its fee serves which line.
SELECT p.line, p.session
FROM late_picks p
ANTI JOIN late_contested t
  ON p.institution_id = t.institution_id
  AND p.person_id = t.person_id
  AND p.item_class = t.item_class
UNION ALL
SELECT line, session
FROM late_assigned_contested
