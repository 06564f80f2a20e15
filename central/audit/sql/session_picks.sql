-- The sessions each line would choose if it were alone: supporting ones first, then the nearest in time; a line
-- that can have all it needs, but not supporting ones only, takes the nearest.
WITH open_choice AS (
  SELECT line FROM session_choices WHERE needed = 1 GROUP BY line HAVING count(*) > 1
),
ranked AS (
  SELECT
    c.*,
    row_number() OVER (PARTITION BY c.line ORDER BY c.supporting DESC, c.gap_us, c.signed_in_at, c.session) AS place
  FROM session_choices c
  SEMI JOIN open_choice o ON c.line = o.line
),
several AS (
  SELECT
    *,
    row_number() OVER (PARTITION BY line ORDER BY supporting DESC, gap_us, signed_in_at, session) AS place,
    row_number() OVER (PARTITION BY line ORDER BY gap_us, signed_in_at, session) AS place_by_time,
    count(CASE WHEN supporting THEN 1 END) OVER (PARTITION BY line) AS supporting_ones,
    count(*) OVER (PARTITION BY line) AS all_of_them
  FROM session_choices
  WHERE needed > 1
)
SELECT c.line, c.institution_id, c.person_id, c.item_class, c.session
FROM session_choices c
ANTI JOIN open_choice o ON c.line = o.line
WHERE c.needed = 1
UNION ALL
SELECT line, institution_id, person_id, item_class, session
FROM ranked
WHERE place = 1
UNION ALL
SELECT line, institution_id, person_id, item_class, session
FROM several
WHERE CASE WHEN supporting_ones < needed AND all_of_them >= needed THEN place_by_time ELSE place END <= needed
