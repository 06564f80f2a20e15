-- Dialysis lines of every week and month that the period touches, as far as the tables reach, with both.
SELECT
  c.line,
  c.line_id,
  c.institution_id,
  c.person_id,
  c.item_class,
  c.service_time,
  c.service_time_day AS service_day,
  d.week,
  d.month,
  c.quantity,
  c.amount
FROM net_lines c
JOIN calendar d ON c.service_time_day = d.day
WHERE c.item_class IN ('haemodialysis', 'haemodiafiltration', 'haemofiltration', 'haemoperfusion')
