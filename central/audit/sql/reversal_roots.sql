-- Every reversal with the line that was billed first, and how many steps lie between them.
-- A chain whose first line is itself below zero takes back nothing that was billed: its rows are judged one by one.
WITH chains AS (
  SELECT t.line, t.target AS root, CAST(1 AS BIGINT) AS depth
  FROM reversal_targets t
  ANTI JOIN reversal_chains c ON t.line = c.line
  UNION ALL
  SELECT line, root, depth
  FROM reversal_chains
  WHERE root IS NOT NULL
),
nothing AS (
  SELECT target
  FROM reversal_targets
  WHERE below_zero
)
SELECT c.line, c.root, c.depth
FROM chains c
ANTI JOIN nothing n ON c.root = n.target
