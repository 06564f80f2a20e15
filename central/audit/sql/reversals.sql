-- What each reversed line loses: every reversal, followed to the line that was billed first.
-- A reversal lowers whatever sign it was written with; the reversal of a reversal counts as written. One that does not
-- say what the fund gets back takes the fund's share of the bill with it. What the fund paid of the rest is between
-- nothing and all of the rest; nobody knows it where nobody knew it of the bill.
WITH named AS (
  SELECT line, root, depth
  FROM reversal_roots
  UNION ALL
  SELECT DISTINCT root AS line, root, CAST(0 AS BIGINT) AS depth
  FROM reversal_roots
),
written AS (
  SELECT
    n.root,
    n.depth,
    CASE WHEN n.depth % 2 = 1 THEN -abs(c.quantity) ELSE c.quantity END AS quantity,
    CASE WHEN n.depth % 2 = 1 THEN -abs(c.amount) ELSE c.amount END AS amount,
    CASE WHEN n.depth % 2 = 1 THEN -abs(c.fund_amount) ELSE c.fund_amount END AS fund_amount
  FROM named n
  JOIN claim_lines c ON n.line = c.line
),
sums AS (
  SELECT
    root,
    sum(CASE WHEN depth > 0 THEN quantity END) AS quantity,
    sum(CASE WHEN depth > 0 THEN amount END) AS amount,
    sum(CASE WHEN depth > 0 THEN fund_amount END) AS fund_amount,
    sum(CASE WHEN depth > 0 AND fund_amount IS NULL THEN amount END) AS untold,
    max(CASE WHEN depth = 0 THEN amount END) AS billed,
    max(CASE WHEN depth = 0 THEN fund_amount END) AS paid
  FROM written
  GROUP BY root
),
shares AS (
  -- in whole cents: what is multiplied is exact up to 2 to the power of 53
  SELECT
    root,
    quantity,
    amount,
    paid,
    billed + amount AS rest,
    paid + coalesce(fund_amount, 0) AS told,
    CASE
      WHEN untold IS NULL OR billed = 0 THEN 0
      ELSE floor(
        (2 * CAST(100 * paid AS DOUBLE) * CAST(100 * untold AS DOUBLE) + CAST(100 * billed AS DOUBLE))
        / (2 * CAST(100 * billed AS DOUBLE))
      )
    END AS untold_cents
  FROM sums
)
SELECT
  root AS line,
  quantity,
  amount,
  CAST(
    greatest(0, least(rest, told + 0.01 * CAST(greatest(-1e16, least(1e16, untold_cents)) AS DECIMAL(18, 0)))) - paid
    AS DECIMAL(16, 2)
  ) AS fund_amount
FROM shares
