-- Stretches in which a device was up, cut to the window that counts on each local day.
SELECT
  c.institution_id,
  c.purpose,
  d.day,
  greatest(c.from_at_local, d.day * 86400000000 + w.from_us) AS from_local,
  least(c.to_at_local, d.day * 86400000000 + w.to_us) AS to_local
FROM coverage c
JOIN days d ON d.day BETWEEN c.from_at_day - 1 AND c.to_at_day
JOIN windows w ON d.day = w.day AND c.purpose = w.purpose
WHERE c.state = 'up'
  AND c.from_at_local < d.day * 86400000000 + w.to_us
  AND c.to_at_local > d.day * 86400000000 + w.from_us
