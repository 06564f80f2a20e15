-- Unseen bed days that lie wholly within one leave.
SELECT DISTINCT l.line, l.day
FROM bed_unseen l
JOIN leaves v
  ON l.inpatient = v.person_here
  AND v.left_at_local <= l.from_local
  AND (
    coalesce(v.returned_at_local, v.due_back_at_local) IS NULL
    OR coalesce(v.returned_at_local, v.due_back_at_local) >= l.to_local
  )
