-- Dialysis lines of every week and month that the period touches, as far as the tables reach, with both.
SELECT
  c.line,
  c.line_id,
  c.institution_id,
  c.person_id,
  k.item_class,
  c.service_time,
  c.service_time_day AS service_day,
  d.week,
  d.month,
  c.quantity + coalesce(r.quantity, 0) AS quantity,
  c.amount + coalesce(r.amount, 0) AS amount
FROM claim_lines c
JOIN item_catalogue k ON c.item_code = k.item_code
JOIN calendar d ON c.service_time_day = d.day
LEFT JOIN reversals r ON c.line = r.line
WHERE k.item_class IN ('haemodialysis', 'haemodiafiltration', 'haemofiltration', 'haemoperfusion')
  AND c.reverses_line_id IS NULL
  AND (r.line IS NULL OR c.quantity + r.quantity > 0)
