-- Lines without enough sessions that the coverage would refute, or failed attempts whatever the coverage, unless a
-- trace or a broken row keeps them from it.
SELECT
  l.line,
  l.line_id,
  l.institution_id,
  l.person_id,
  l.item_class,
  l.service_time,
  l.service_day,
  l.in_period,
  l.shield_attempts,
  coalesce(t.runs, 0) AS runs,
  coalesce(t.not_acquired, 0) AS not_acquired
FROM open_lines l
LEFT JOIN served v ON l.line = v.line
LEFT JOIN late_served n ON l.line = n.line
LEFT JOIN hours_served h ON l.line = h.line
LEFT JOIN open_traces t ON l.line = t.line
LEFT JOIN watched_days d ON l.institution_id = d.institution_id AND l.service_day = d.day
LEFT JOIN choice_counts k ON l.line = k.line
LEFT JOIN dialysis_inpatients i ON l.line = i.line
LEFT JOIN bundle_coverage b ON l.line = b.line
LEFT JOIN late_entry_coverage y ON l.line = y.line
ANTI JOIN dialysis_elsewhere e ON l.line = e.line
ANTI JOIN death_excuses x ON l.line = x.line
WHERE (NOT l.dead OR v.line IS NOT NULL OR n.line IS NOT NULL OR h.line IS NOT NULL)
  AND coalesce(n.sessions, 0) < l.lacking
  AND (l.hours_us IS NULL OR coalesce(h.used_us, 0) < l.hours_us)
  AND v.failing IS NULL
  AND h.failing IS NULL
  AND coalesce(t.shown, 0) = 0
  AND CASE
    WHEN coalesce(t.attempts, 0) > 0
      AND coalesce(t.runs, 0) + coalesce(t.not_acquired, 0) + coalesce(t.weak, 0) + coalesce(k.same_day, 0) = 0
      AND v.line IS NULL AND n.line IS NULL AND h.line IS NULL THEN true
    WHEN i.line IS NOT NULL THEN false
    WHEN b.line IS NOT NULL THEN b.uncovered_days < l.lacking - coalesce(n.sessions, 0)
    ELSE d.day IS NOT NULL
      AND coalesce(y.dark_days, 0) < l.lacking - coalesce(n.sessions, 0)
  END
