-- Days on which the dialysis devices of an institution watched enough for their silence to mean that nobody came: of the
-- day's window and of the arrival hours. The share that is needed is that day's own, whenever the fee was entered.
SELECT c.institution_id, c.day
FROM coverage_days c
JOIN windows w ON c.day = w.day AND c.purpose = w.purpose
JOIN days d ON c.day = d.day
LEFT JOIN arrival_coverage a ON c.institution_id = a.institution_id AND c.day = a.day
WHERE c.purpose = 'dialysis'
  AND c.covered_us * 1000000 >= (w.to_us - w.from_us) * d.coverage_needed_ppm
  AND coalesce(a.covered_us, 0) * 1000000 >= coalesce(a.window_us, 0) * d.coverage_needed_ppm
