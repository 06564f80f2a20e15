-- Lines of service points that have a session at which somebody of the staff was not shown whom every point of the item
-- asks for: signed in by face or passkey, with a trusted clock, at the place or without a word on where in the house.
-- A presence of which nobody told the end lasts twelve hours.
WITH needs AS (
  SELECT
    l.line,
    min(i.doctor_needed) AS doctor,
    min(i.nurse_needed) AS nurse,
    min(i.technician_needed) AS technician
  FROM point_scope l
  JOIN days d ON l.service_day = d.day
  JOIN point_items i
    ON l.institution_id = i.place
    AND l.service_day BETWEEN i.from_day AND i.to_day
    AND (l.item_class = i.item_code OR l.catalogue_class = i.item_class)
  WHERE l.in_period AND d.staff_must_be_shown = 1
  GROUP BY l.line
),
roles AS (
  SELECT line, 'doctor' AS role FROM needs WHERE doctor = 1
  UNION ALL
  SELECT line, 'nurse' AS role FROM needs WHERE nurse = 1
  UNION ALL
  SELECT line, 'technician' AS role FROM needs WHERE technician = 1
),
held AS (
  SELECT line, session FROM point_assigned
  UNION ALL
  SELECT line, session FROM point_late_assigned
  UNION ALL
  SELECT line, session FROM point_hours_assigned WHERE used_us > 0
),
asked AS (
  SELECT r.line, r.role, s.session, s.institution_id, s.signed_in_at - l.mid_session_us AS from_at,
    greatest(s.signed_in_at, s.ended_at) + l.mid_session_us AS until_at
  FROM roles r
  JOIN held h ON r.line = h.line
  JOIN point_sessions s ON h.session = s.session
  JOIN point_lines l ON r.line = l.line
),
points AS (
  SELECT DISTINCT place, point_id FROM point_items
),
there AS (
  SELECT h.place, p.role, p.from_at, coalesce(p.to_at, p.from_at + 43200000000) AS until_at
  FROM staff_presence p
  JOIN point_houses h ON p.institution_id = h.institution_id
  LEFT JOIN points t ON h.place = t.place AND p.point_id = t.point_id
  WHERE p.state = 'present'
    AND p.shown_by IN ('face', 'passkey')
    AND p.clock_trusted
    AND (p.point_id IS NULL OR t.point_id IS NOT NULL)
),
shown AS (
  SELECT DISTINCT a.line, a.role, a.session
  FROM asked a
  JOIN there t
    ON a.institution_id = t.place
    AND a.role = t.role
    AND t.from_at <= a.until_at
    AND t.until_at >= a.from_at
)
SELECT a.line, min(a.role) AS role
FROM asked a
ANTI JOIN shown s ON a.line = s.line AND a.role = s.role AND a.session = s.session
GROUP BY a.line
