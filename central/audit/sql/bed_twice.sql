-- Bed days that are a second bed of their person: within one stay never more than one bed a day; in another stay only
-- where the person went from the one to the other about that day. Who keeps the day: where the person was seen, then
-- where a stay is known, then the whole day before the part, then the line entered first.
WITH claims AS (
  SELECT c.*
  FROM bed_claims c
  ANTI JOIN bed_nights n ON c.line = n.line AND c.day = n.day
),
ranked AS (
  SELECT
    c.*,
    row_number() OVER (PARTITION BY c.person_id, c.day ORDER BY c.seen DESC, c.has_stay DESC, c.weight DESC, c.service_time, c.institution_id, c.line_id) AS place
  FROM claims c
),
summed AS (
  SELECT
    *,
    sum(weight) OVER (PARTITION BY person_id, day ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS anywhere,
    sum(weight) OVER (PARTITION BY person_id, day, institution_id, stay ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS in_stay
  FROM ranked
),
seconds AS (
  SELECT
    s.*,
    k.line_id AS kept,
    k.institution_id AS kept_at,
    k.first_day AS kept_first,
    k.last_day AS kept_last,
    abs(k.last_day - s.first_day) <= 1 OR abs(s.last_day - k.first_day) <= 1 AS handed_over
  FROM summed s
  JOIN summed k ON s.person_id = k.person_id AND s.day = k.day AND k.place = 1
  WHERE s.anywhere > 10416
    AND s.weight > 0
    AND (s.in_stay > 10416 OR s.institution_id <> k.institution_id OR s.stay <> k.stay)
),
transferred AS (
  SELECT DISTINCT s.line, s.day
  FROM seconds s
  JOIN leaves v ON s.person_id = v.person_id
  WHERE v.kind = 'transfer'
    AND (
      (v.institution_id = s.kept_at AND (
        (abs(v.left_at_day - s.first_day) <= 1 AND abs(v.left_at_day - s.day) <= 1)
        OR (abs(coalesce(v.returned_at_day, v.due_back_at_day) - s.last_day) <= 1 AND abs(coalesce(v.returned_at_day, v.due_back_at_day) - s.day) <= 1)
      ))
      OR (v.institution_id = s.institution_id AND (
        (abs(v.left_at_day - s.kept_first) <= 1 AND abs(v.left_at_day - s.day) <= 1)
        OR (abs(coalesce(v.returned_at_day, v.due_back_at_day) - s.kept_last) <= 1 AND abs(coalesce(v.returned_at_day, v.due_back_at_day) - s.day) <= 1)
      ))
    )
)
SELECT s.line, s.day, min(s.kept) AS evidence
FROM seconds s
LEFT JOIN transferred t ON s.line = t.line AND s.day = t.day
WHERE s.in_stay > 10416 OR (NOT s.handed_over AND t.line IS NULL)
GROUP BY s.line, s.day
