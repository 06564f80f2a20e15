-- Lines of a class in scope, reversals netted out.
-- Lines outside the period, as far back as a fee may be late, take part in the assignment of sessions, but get no
-- verdict (in_period).
SELECT
  line,
  line_id,
  institution_id,
  visit_id,
  person_id,
  person_here,
  visit_here,
  item_class,
  item_unit,
  item_class <> 'haemoperfusion' AS alone,
  service_time,
  service_time_day AS service_day,
  utc_offset_us,
  quantity,
  amount,
  fund_amount,
  service_time_day BETWEEN $from_day AND $to_day AS in_period
FROM net_lines
WHERE item_class IN ('haemodialysis', 'haemodiafiltration', 'haemofiltration', 'haemoperfusion', 'bed_day')
  AND service_time_day BETWEEN $early_day + 2 AND $to_day + 3
