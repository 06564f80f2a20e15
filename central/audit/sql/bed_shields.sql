-- Bed days of persons about whom a row could not be read: it may have been what clears them.
SELECT DISTINCT b.line, b.day
FROM bed_parts b
JOIN doubts d
  ON b.institution_id = d.institution_id
  AND b.person_id = d.person_id
  AND b.day = coalesce(d.day, b.day)
