-- What each institution sent, by what became of it: every billed row in exactly one box, to the cent.
-- Reversals as they were written and what they took back are in one box; what is left of the line is in its own.
WITH sent AS (
  SELECT
    c.line,
    c.institution_id,
    c.amount,
    c.fund_amount,
    r.amount AS taken_amount,
    r.fund_amount AS taken_fund,
    CASE
      WHEN o.line IS NOT NULL AND (
        c.service_time_day BETWEEN $from_day AND $to_day OR o.root_day BETWEEN $from_day AND $to_day
      ) THEN 'reversed'
      WHEN c.service_time_day NOT BETWEEN $from_day AND $to_day THEN 'outside_period'
      WHEN c.amount < 0 OR (c.amount = 0 AND c.quantity < 0) THEN 'orphan_reversal'
      WHEN r.line IS NOT NULL AND c.amount + r.amount <= 0 THEN 'reversed'
      WHEN p.line IS NOT NULL THEN 'in_scope'
      WHEN c.item_class IS NULL THEN 'unknown_code'
      WHEN c.item_class IN ('haemodialysis', 'haemodiafiltration', 'haemofiltration', 'haemoperfusion', 'bed_day')
        THEN 'in_scope'
      ELSE 'out_of_scope'
    END AS box
  FROM coded_lines c
  LEFT JOIN reversals r ON c.line = r.line
  LEFT JOIN point_scope p ON c.line = p.line
  LEFT JOIN (
    SELECT o.line, t.service_time_day AS root_day
    FROM reversal_roots o
    JOIN claim_lines t ON o.root = t.line
  ) o ON c.line = o.line
),
parts AS (
  SELECT
    institution_id,
    box,
    1 AS lines,
    CASE WHEN box IN ('unknown_code', 'out_of_scope') THEN amount + coalesce(taken_amount, 0) ELSE amount END AS amount,
    CASE WHEN box IN ('unknown_code', 'out_of_scope') THEN fund_amount + coalesce(taken_fund, 0) ELSE fund_amount END AS fund_amount
  FROM sent
  WHERE box <> 'in_scope'
  UNION ALL
  SELECT institution_id, 'reversed' AS box, 0 AS lines, -taken_amount AS amount, -taken_fund AS fund_amount
  FROM sent
  WHERE box IN ('unknown_code', 'out_of_scope', 'in_scope') AND taken_amount IS NOT NULL
  UNION ALL
  SELECT v.institution_id, v.verdict AS box, 1 AS lines, v.amount, l.fund_amount
  FROM line_verdicts v
  JOIN (
    SELECT line, fund_amount FROM scope_lines
    UNION ALL
    SELECT line, fund_amount FROM point_scope
  ) l ON v.line = l.line
  UNION ALL
  SELECT institution_id, box, 1 AS lines, amount, fund_amount
  FROM refused_lines
)
SELECT
  institution_id,
  box,
  CAST(sum(lines) AS BIGINT) AS lines,
  CAST(sum(amount) AS DECIMAL(16, 2)) AS amount,
  CAST(sum(fund_amount) AS DECIMAL(16, 2)) AS fund_amount
FROM parts
GROUP BY institution_id, box
