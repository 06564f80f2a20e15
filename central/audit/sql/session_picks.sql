-- The session each line would choose if it were alone: a supporting one first, then the nearest in time.
WITH ranked AS (
  SELECT
    *,
    row_number() OVER (PARTITION BY line ORDER BY supporting DESC, gap_us, signed_in_at, session) AS place
  FROM session_choices
)
SELECT line, institution_id, person_id, item_class, needed, session
FROM ranked
WHERE place = 1
