-- Every line of the period net of its reversals, whatever its class; what was wholly taken back is gone.
SELECT
  c.line,
  c.line_id,
  c.institution_id,
  c.visit_id,
  c.settlement_id,
  c.person_id,
  c.visit_type,
  c.item_code,
  c.item_name,
  c.service_time,
  c.service_time_day AS service_day,
  c.quantity + coalesce(r.quantity, 0) AS quantity,
  c.amount + coalesce(r.amount, 0) AS amount,
  c.traceability_code
FROM claim_lines c
LEFT JOIN reversals r ON c.line = r.line
WHERE c.reverses_line_id IS NULL
  AND c.service_time_day BETWEEN $from_day AND $to_day
  AND (r.line IS NULL OR c.quantity + r.quantity > 0)
