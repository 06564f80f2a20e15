-- Bed days of persons with a broken row that are about to be contradicted by what such a row could have cleared.
WITH doubted AS (
  SELECT b.line, b.line_id, b.institution_id, b.person_id, b.visit_id, b.service_time, b.day, b.inpatient
  FROM bed_parts b
  SEMI JOIN broken_rows r ON b.institution_id = r.institution_id AND b.person_id = r.person_id
  ANTI JOIN bed_twice t ON b.line = t.line AND b.billed_day = t.day
  WHERE b.death_date IS NULL OR b.day <= b.death_date
  UNION
  SELECT b.line, b.line_id, b.institution_id, b.person_id, b.visit_id, b.service_time, b.day, b.inpatient
  FROM bed_parts b
  SEMI JOIN broken_rows r ON b.institution_id = r.institution_id AND b.visit_id = r.visit_id
  ANTI JOIN bed_twice t ON b.line = t.line AND b.billed_day = t.day
  WHERE b.death_date IS NULL OR b.day <= b.death_date
),
found AS (
  SELECT
    d.line,
    d.line_id,
    d.institution_id,
    d.person_id,
    d.visit_id,
    d.service_time,
    d.day,
    CASE
      WHEN a.line IS NOT NULL THEN 'absent_at_check'
      WHEN s.evidence IS NOT NULL THEN 'seen'
      WHEN o.line IS NOT NULL THEN 'outside_stay'
      WHEN e.line IS NOT NULL OR v.line IS NOT NULL THEN 'on_leave'
      WHEN x.line IS NOT NULL THEN 'elsewhere'
    END AS reason
  FROM doubted d
  LEFT JOIN bed_absent a ON d.line = a.line AND d.day = a.day
  LEFT JOIN bed_sightings s ON d.inpatient = s.inpatient AND d.day = s.day
  LEFT JOIN bed_outside o ON d.line = o.line AND d.day = o.day
  LEFT JOIN bed_errands e ON d.line = e.line AND d.day = e.day
  LEFT JOIN bed_on_leave v ON d.line = v.line AND d.day = v.day
  LEFT JOIN bed_elsewhere x ON d.line = x.line AND d.day = x.day
)
SELECT * FROM found WHERE reason IN ('absent_at_check', 'outside_stay', 'elsewhere')
