-- Every line in scope with its one verdict.
SELECT
  line,
  line_id,
  institution_id,
  amount,
  verdict,
  reason,
  coverage_ratio,
  evidence,
  CAST(amount AS DECIMAL(16, 2)) AS amount_at_stake,
  'line-haemodialysis' AS rule_id
FROM dialysis_verdicts
UNION ALL
SELECT
  line,
  line_id,
  institution_id,
  amount,
  verdict,
  reason,
  coverage_ratio,
  evidence,
  amount_at_stake,
  'line-bed-day' AS rule_id
FROM bed_verdicts
