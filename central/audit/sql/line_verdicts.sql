-- Every line in scope with its one verdict, the yuan that are at stake, and what kept it from being refuted.
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
  shield,
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
  shield,
  'line-bed-day' AS rule_id
FROM bed_verdicts
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
  CAST(amount AS DECIMAL(16, 2)) AS amount_at_stake,
  shield,
  'line-service-point' AS rule_id
FROM point_verdicts
