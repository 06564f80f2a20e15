-- All late choices of the contested, for the exact assignment (matching.py).
SELECT c.*
FROM late_choices c
SEMI JOIN late_contested t
  ON c.institution_id = t.institution_id
  AND c.person_id = t.person_id
  AND c.item_class = t.item_class
