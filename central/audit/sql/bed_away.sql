-- Verified events at other institutions on an unseen bed day (by the clock of either institution), with what the
-- leaves say about them, as in bed_checks.
SELECT
  l.line,
  l.day,
  e.event_id,
  max(CASE WHEN v.kind IN ('examination', 'transfer') AND v.institution_id = l.institution_id AND e.occurred_at <= v.since + l.longest_examination_us THEN 1 ELSE 0 END) AS on_errand,
  max(CASE WHEN v.kind = 'leave' OR e.occurred_at <= v.since + l.longest_examination_us THEN 1 ELSE 0 END) AS explained,
  max(CASE WHEN v.kind IS NOT NULL THEN 1 ELSE 0 END) AS on_leave
FROM bed_unseen l
JOIN attendance e
  ON l.person_id = e.person_id
  AND l.institution_id <> e.institution_id
  AND e.occurred_at_local >= l.from_local
  AND e.occurred_at_local < l.to_local
  AND e.occurred_at + l.utc_offset_us >= l.from_local
  AND e.occurred_at + l.utc_offset_us < l.to_local
LEFT JOIN bed_leaves v
  ON l.person_id = v.person_id
  AND e.occurred_at >= v.left_at
  AND (v.back_at IS NULL OR e.occurred_at <= v.back_at)
WHERE e.verified AND e.occurred_at_day BETWEEN $bed_from_day - 1 AND $to_day + 2
GROUP BY l.line, l.day, e.event_id
