-- What each reversed line loses: every reversal, followed to the line that was billed first. A reversal takes back
-- a line of the same institution and person.
-- A reversal lowers whatever sign it was written with; the reversal of a reversal counts as written.
WITH taken_back AS (
  SELECT r.line, t.line AS root, 1 AS depth, r.quantity, r.amount
  FROM claim_lines r
  JOIN claim_lines t
    ON r.institution_id = t.institution_id
    AND r.reverses_line_id = t.line_id
    AND r.person_id = t.person_id
  WHERE r.reverses_line_id IS NOT NULL
),
followed_once AS (
  SELECT a.line, coalesce(b.root, a.root) AS root, a.depth + coalesce(b.depth, 0) AS depth, a.quantity, a.amount
  FROM taken_back a
  LEFT JOIN taken_back b ON a.root = b.line
),
followed AS (
  SELECT a.line, coalesce(b.root, a.root) AS root, a.depth + coalesce(b.depth, 0) AS depth, a.quantity, a.amount
  FROM followed_once a
  LEFT JOIN followed_once b ON a.root = b.line
)
SELECT
  root AS line,
  sum(CASE WHEN depth % 2 = 1 THEN -abs(quantity) ELSE quantity END) AS quantity,
  sum(CASE WHEN depth % 2 = 1 THEN -abs(amount) ELSE amount END) AS amount
FROM followed
GROUP BY root
