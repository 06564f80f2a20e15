-- Lines of the haemodialysis family and how many sessions each needs.
-- A part of a session that was billed is rounded down, but never to none.
SELECT
  l.line,
  l.line_id,
  l.institution_id,
  l.person_id,
  l.item_class,
  l.service_time,
  l.service_day,
  l.in_period,
  l.amount,
  greatest(1, CAST(floor(l.quantity) AS BIGINT)) AS needed,
  coalesce(l.service_day > p.death_date, false) AS after_death,
  d.match_window_us,
  d.elsewhere_margin_us,
  d.mid_session_us,
  d.coverage_needed_ppm
FROM scope_lines l
JOIN days d ON l.service_day = d.day
LEFT JOIN persons p ON l.person_id = p.person_id
WHERE l.item_class <> 'bed_day'
