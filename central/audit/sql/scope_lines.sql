-- Lines of a class in scope, reversals netted out, with the parameters of their service day.
-- Lines just outside the period take part in the assignment of sessions, but get no verdict (in_period).
SELECT
  c.line,
  c.line_id,
  c.institution_id,
  c.visit_id,
  c.person_id,
  k.item_class,
  k.unit,
  c.service_time,
  c.service_time_day AS service_day,
  c.service_time_local - c.service_time AS utc_offset_us,
  c.quantity + coalesce(r.quantity, 0) AS quantity,
  c.amount + coalesce(r.amount, 0) AS amount,
  c.service_time_day BETWEEN $from_day AND $to_day AS in_period
FROM claim_lines c
JOIN item_catalogue k ON c.item_code = k.item_code
LEFT JOIN reversals r ON c.line = r.line
WHERE k.item_class IN ('haemodialysis', 'haemodiafiltration', 'haemofiltration', 'haemoperfusion', 'bed_day')
  AND c.reverses_line_id IS NULL
  AND c.service_time_day BETWEEN $from_day - 3 AND $to_day + 3
  AND (r.line IS NULL OR c.quantity + r.quantity > 0)
