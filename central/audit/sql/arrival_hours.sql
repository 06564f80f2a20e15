-- When an institution's patients arrive: the local hours of the middle four fifths of its verified sign-ins of the 28
-- days before; 06:00 to 14:00 where there are none.
WITH arrivals AS (
  SELECT
    institution_id,
    occurred_at_day AS day,
    (occurred_at_local - occurred_at_day * 86400000000) // 3600000000 AS hour,
    count(*) AS signed_in
  FROM attendance
  WHERE verified
    AND purpose = 'dialysis'
    AND event_type = 'sign_in'
    AND occurred_at_day BETWEEN $early_day - 28 AND $to_day + 5
  GROUP BY institution_id, occurred_at_day, (occurred_at_local - occurred_at_day * 86400000000) // 3600000000
),
lately AS (
  SELECT o.institution_id, o.day, a.hour, sum(a.signed_in) AS signed_in
  FROM open_days o
  JOIN arrivals a ON o.institution_id = a.institution_id AND a.day BETWEEN o.day - 28 AND o.day - 1
  GROUP BY o.institution_id, o.day, a.hour
),
summed AS (
  SELECT
    institution_id,
    day,
    hour,
    sum(signed_in) OVER (
      PARTITION BY institution_id, day ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS upto,
    sum(signed_in) OVER (PARTITION BY institution_id, day) AS total
  FROM lately
),
middle AS (
  SELECT
    institution_id,
    day,
    min(CASE WHEN upto * 10 >= total THEN hour END) AS first_hour,
    min(CASE WHEN upto * 10 >= total * 9 THEN hour END) AS last_hour
  FROM summed
  GROUP BY institution_id, day
)
SELECT
  o.institution_id,
  o.day,
  o.day * 86400000000 + coalesce(m.first_hour, 6) * 3600000000 AS from_local,
  o.day * 86400000000 + (coalesce(m.last_hour, 13) + 1) * 3600000000 AS to_local
FROM open_days o
LEFT JOIN middle m ON o.institution_id = m.institution_id AND o.day = m.day
