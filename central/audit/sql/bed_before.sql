-- Bed lines before those that are judged or compete with them, as far back as the tables reach.
WITH weighed AS (
  SELECT
    *,
    CASE
      WHEN quantity <= 0 THEN CAST(10000 AS BIGINT)
      ELSE greatest(1, CAST(least(quantity, 1000000) * 10000 AS BIGINT) // CASE WHEN item_unit = 'hour' THEN 24 ELSE 1 END)
    END AS weight
  FROM net_lines
  WHERE item_class = 'bed_day' AND service_time_day BETWEEN $from_day - 400 AND $from_day - 4
)
SELECT
  line,
  line_id,
  institution_id,
  visit_id,
  person_id,
  service_time,
  service_time_day AS service_day,
  utc_offset_us,
  amount,
  weight,
  greatest(1, (weight + 9583) // 10000) AS days
FROM weighed
