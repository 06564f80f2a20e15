-- What each reversed line loses: every reversal, followed to the line that was billed first.
-- A reversal lowers whatever sign it was written with; the reversal of a reversal counts as written.
WITH taken_back AS (
  SELECT line_id, reverses_line_id AS root, 1 AS depth, quantity, amount
  FROM claim_lines
  WHERE reverses_line_id IS NOT NULL
),
followed_once AS (
  SELECT a.line_id, coalesce(b.root, a.root) AS root, a.depth + coalesce(b.depth, 0) AS depth, a.quantity, a.amount
  FROM taken_back a
  LEFT JOIN taken_back b ON a.root = b.line_id
),
followed AS (
  SELECT a.line_id, coalesce(b.root, a.root) AS root, a.depth + coalesce(b.depth, 0) AS depth, a.quantity, a.amount
  FROM followed_once a
  LEFT JOIN followed_once b ON a.root = b.line_id
)
SELECT
  root AS line_id,
  sum(CASE WHEN depth % 2 = 1 THEN -abs(quantity) ELSE quantity END) AS quantity,
  sum(CASE WHEN depth % 2 = 1 THEN -abs(amount) ELSE amount END) AS amount
FROM followed
GROUP BY root
