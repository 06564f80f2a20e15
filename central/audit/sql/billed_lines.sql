-- Every line of the period net of its reversals, whatever its class; what was wholly taken back is gone.
SELECT
  line,
  line_id,
  institution_id,
  visit_id,
  settlement_id,
  person_id,
  person_here,
  visit_type,
  item_code,
  item_name,
  item_class,
  item_unit,
  service_time,
  utc_offset_us,
  service_time_day AS service_day,
  quantity,
  amount,
  doctor_id,
  traceability_code
FROM net_lines
WHERE service_time_day BETWEEN $from_day AND $to_day
