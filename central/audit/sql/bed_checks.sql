-- Spot checks that did not find the person in bed, during the stay and on a day of a bed line, with what the leaves
-- say about that moment: an errand (an examination or transfer of this institution, within the hours it may take), a
-- leave that explains it, or only one that has lasted longer than an examination may.
WITH missed AS (
  SELECT
    b.line,
    b.day,
    b.institution_id,
    b.person_id,
    b.visit_id,
    w.month,
    w.longest_examination_us,
    c.check_id,
    c.result,
    coalesce(c.answered_at, c.drawn_at) AS moment
  FROM bed_parts b
  JOIN bed_calendar w ON b.day = w.day
  JOIN spot_checks c
    ON b.inpatient = c.person_here
    AND coalesce(c.answered_at_local, c.drawn_at_local) >= b.day * 86400000000 + w.from_us
    AND coalesce(c.answered_at_local, c.drawn_at_local) < b.day * 86400000000 + w.to_us
  WHERE c.result IN ('absent', 'identity_mismatch', 'away_approved')
),
in_stay AS (
  SELECT m.*
  FROM missed m
  JOIN stays s
    ON m.institution_id = s.institution_id
    AND m.visit_id = s.visit_id
    AND m.moment >= s.admitted_at
    AND (s.discharged_at IS NULL OR m.moment <= s.discharged_at)
  UNION ALL
  SELECT m.*
  FROM missed m
  JOIN stays s
    ON m.institution_id = s.institution_id
    AND m.person_id = s.person_id
    AND m.moment >= s.admitted_at
    AND (s.discharged_at IS NULL OR m.moment <= s.discharged_at)
  UNION ALL
  SELECT m.*
  FROM missed m
  ANTI JOIN bed_told t ON m.institution_id = t.institution_id AND m.month = t.month
)
SELECT
  m.line,
  m.day,
  m.check_id,
  m.result,
  max(CASE WHEN v.kind IN ('examination', 'transfer') AND v.institution_id = m.institution_id AND m.moment <= v.since + m.longest_examination_us THEN 1 ELSE 0 END) AS on_errand,
  max(CASE WHEN v.kind = 'leave' OR m.moment <= v.since + m.longest_examination_us THEN 1 ELSE 0 END) AS explained,
  max(CASE WHEN v.kind IS NOT NULL THEN 1 ELSE 0 END) AS on_leave
FROM in_stay m
LEFT JOIN bed_leaves v
  ON m.person_id = v.person_id
  AND m.moment >= v.left_at
  AND (v.back_at IS NULL OR m.moment <= v.back_at)
GROUP BY m.line, m.day, m.check_id, m.result
