-- Lines of a place: of an item that a service point of the institution covers on their day, reversals netted out.
-- What a dialysis or a bed is stays one. Each code is a class of its own: a session serves one line of each code.
-- Lines outside the period take part in the assignment of sessions, but get no verdict (in_period).
WITH known AS (
  SELECT DISTINCT item_code FROM point_items WHERE item_code IS NOT NULL
  UNION
  SELECT s.item_code
  FROM item_stretches s
  SEMI JOIN point_items i ON s.item_class = i.item_class
),
near AS (
  SELECT l.*
  FROM net_lines l
  SEMI JOIN known k ON l.item_code = k.item_code
  WHERE l.service_time_day BETWEEN $early_day + 2 AND $to_day + 3
    AND coalesce(l.item_class, 'other') NOT IN (
      'haemodialysis', 'haemodiafiltration', 'haemofiltration', 'haemoperfusion', 'peritoneal_dialysis', 'bed_day'
    )
),
covered AS (
  SELECT n.line, i.place
  FROM near n
  JOIN point_items i
    ON n.institution_id = i.institution_id
    AND n.item_code = i.item_code
    AND n.service_time_day BETWEEN i.from_day AND i.to_day
  UNION
  SELECT n.line, i.place
  FROM near n
  JOIN point_items i
    ON n.institution_id = i.institution_id
    AND n.item_class = i.item_class
    AND n.service_time_day BETWEEN i.from_day AND i.to_day
)
SELECT
  n.line,
  n.line_id,
  c.place AS institution_id,
  n.visit_id,
  n.person_id,
  c.place || '/' || n.person_id AS person_here,
  n.visit_here,
  n.item_code AS item_class,
  n.item_class AS catalogue_class,
  n.item_unit,
  false AS alone,
  n.service_time,
  n.service_time_day AS service_day,
  n.utc_offset_us,
  n.quantity,
  n.amount,
  n.fund_amount,
  n.doctor_id,
  n.service_time_day BETWEEN $from_day AND $to_day AS in_period
FROM near n
JOIN covered c ON n.line = c.line
