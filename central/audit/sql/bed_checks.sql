-- Spot checks that did not find the person in bed, during the stay and on the day of a bed line,
-- with what any leave says about that moment.
WITH missed AS (
  SELECT
    l.line,
    l.institution_id,
    l.person_id,
    l.visit_id,
    c.check_id,
    c.result,
    coalesce(c.answered_at, c.drawn_at) AS moment
  FROM bed_lines l
  JOIN spot_checks c
    ON l.institution_id = c.institution_id
    AND l.person_id = c.person_id
    AND coalesce(c.answered_at_local, c.drawn_at_local) >= l.from_local
    AND coalesce(c.answered_at_local, c.drawn_at_local) < l.to_local
  WHERE c.result IN ('absent', 'identity_mismatch', 'away_approved')
),
in_stay AS (
  SELECT DISTINCT m.*
  FROM missed m
  LEFT JOIN stays s
    ON m.institution_id = s.institution_id
    AND m.visit_id = s.visit_id
    AND m.moment >= s.admitted_at
    AND (s.discharged_at IS NULL OR m.moment <= s.discharged_at)
  WHERE s.visit_id IS NOT NULL OR $stays_known = 0
)
SELECT
  m.line,
  m.check_id,
  m.result,
  m.institution_id,
  m.person_id,
  max(CASE WHEN v.kind IS NOT NULL THEN 1 ELSE 0 END) AS on_leave,
  max(CASE WHEN v.institution_id = m.institution_id AND v.kind IN ('examination', 'transfer') THEN 1 ELSE 0 END) AS on_errand
FROM in_stay m
LEFT JOIN leaves v
  ON m.person_id = v.person_id
  AND m.moment >= v.left_at
  AND (coalesce(v.returned_at, v.due_back_at) IS NULL OR m.moment <= coalesce(v.returned_at, v.due_back_at))
GROUP BY m.line, m.check_id, m.result, m.institution_id, m.person_id
