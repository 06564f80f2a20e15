-- Which session serves which line.
SELECT p.line, p.session
FROM session_picks p
ANTI JOIN contested t
  ON p.institution_id = t.institution_id
  AND p.person_id = t.person_id
  AND p.item_class = t.item_class
UNION ALL
SELECT line, session
FROM assigned_contested
