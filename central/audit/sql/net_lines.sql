-- Every billed line net of its reversals, with what its item is on its day. Reversals are none, nor is a negative
-- line that takes back nothing known, nor a line of which nothing is still paid.
SELECT
  c.line,
  c.line_id,
  c.institution_id,
  c.visit_id,
  c.settlement_id,
  c.person_id,
  c.person_here,
  c.visit_here,
  c.visit_type,
  c.item_code,
  c.item_name,
  c.item_class,
  c.item_unit,
  c.service_time,
  c.service_time_day,
  c.service_time_local - c.service_time AS utc_offset_us,
  c.quantity + coalesce(r.quantity, 0) AS quantity,
  c.amount + coalesce(r.amount, 0) AS amount,
  c.fund_amount + coalesce(r.fund_amount, 0) AS fund_amount,
  c.doctor_id,
  c.traceability_code
FROM coded_lines c
LEFT JOIN reversals r ON c.line = r.line
ANTI JOIN reversal_roots o ON c.line = o.line
WHERE (c.amount > 0 OR (c.amount = 0 AND c.quantity >= 0))
  AND (r.line IS NULL OR c.amount + r.amount > 0)
