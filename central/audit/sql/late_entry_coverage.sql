-- Lines of one or two sessions may have been entered a few days late: on how many of those days, on which no session
-- of the person is known, the devices could not have seen them. Another line of the class keeps its own day for itself,
-- unless a session of an earlier day serves it.
WITH begun AS (
  SELECT institution_id, min(from_at_day) AS day
  FROM coverage
  WHERE purpose = 'dialysis'
  GROUP BY institution_id
),
dark AS (
  SELECT l.line, l.institution_id, l.person_id, l.item_class, w.day
  FROM open_lines l
  JOIN windows w ON w.day BETWEEN l.service_day - l.late_entry_days AND l.service_day - 1
  JOIN begun b ON l.institution_id = b.institution_id AND w.day >= b.day
  LEFT JOIN coverage_days c ON l.institution_id = c.institution_id AND w.day = c.day AND c.purpose = 'dialysis'
  LEFT JOIN arrival_coverage a ON l.institution_id = a.institution_id AND w.day = a.day
  WHERE l.needed <= 2
    AND w.purpose = 'dialysis'
    AND (
      coalesce(c.covered_us, 0) * 1000000 < (w.to_us - w.from_us) * l.coverage_needed_ppm
      OR coalesce(a.covered_us, 0) * 1000000 < coalesce(a.window_us, 0) * l.coverage_needed_ppm
    )
),
on_their_day AS (
  SELECT o.institution_id, o.person_id, o.item_class, o.service_day
  FROM dialysis_lines o
  ANTI JOIN late_served n ON o.line = n.line
)
SELECT d.line, count(*) AS dark_days
FROM dark d
ANTI JOIN dialysis_sessions s
  ON d.institution_id = s.institution_id
  AND d.person_id = s.person_id
  AND d.day >= s.first_day
  AND d.day <= s.last_day
ANTI JOIN on_their_day o
  ON d.institution_id = o.institution_id
  AND d.person_id = o.person_id
  AND d.item_class = o.item_class
  AND d.day = o.service_day
GROUP BY d.line
