-- What each reversed line loses: every reversal, followed to the line that was billed first.
-- A reversal lowers whatever sign it was written with; the reversal of a reversal counts as written.
SELECT
  o.root AS line,
  sum(CASE WHEN o.depth % 2 = 1 THEN -abs(c.quantity) ELSE c.quantity END) AS quantity,
  sum(CASE WHEN o.depth % 2 = 1 THEN -abs(c.amount) ELSE c.amount END) AS amount,
  sum(CASE WHEN o.depth % 2 = 1 THEN -abs(c.fund_amount) ELSE c.fund_amount END) AS fund_amount
FROM reversal_roots o
JOIN claim_lines c ON o.line = c.line
GROUP BY o.root
