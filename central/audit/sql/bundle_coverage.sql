-- How many days on which a session of a bundled line may have been were not covered. A line of more than two sessions
-- speaks of several days.
SELECT
  l.line,
  count(CASE
    WHEN coalesce(c.covered_us, 0) * 1000000 < (w.to_us - w.from_us) * l.coverage_needed_ppm
      OR coalesce(a.covered_us, 0) * 1000000 < coalesce(a.window_us, 0) * l.coverage_needed_ppm THEN 1
  END) AS uncovered_days
FROM open_lines l
JOIN windows w ON w.day BETWEEN l.service_day - l.late_billing_days AND l.service_day
LEFT JOIN coverage_days c ON l.institution_id = c.institution_id AND w.day = c.day AND c.purpose = 'dialysis'
LEFT JOIN arrival_coverage a ON l.institution_id = a.institution_id AND w.day = a.day
WHERE l.needed > 2 AND w.purpose = 'dialysis'
GROUP BY l.line
