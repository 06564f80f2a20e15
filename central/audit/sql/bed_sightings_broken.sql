-- How many broken rows may each have shown a person in the ward, by day; those that shield a dialysis line are used.
WITH unread AS (
  SELECT
    institution_id,
    person_id,
    from_day AS day,
    count(CASE WHEN source <> 'machine_sessions' AND coalesce(purpose, '') <> 'dialysis' THEN 1 END) AS wards,
    count(CASE WHEN source = 'machine_sessions' THEN 1 END) AS runs,
    count(CASE WHEN purpose = 'dialysis' THEN 1 END) AS dialysis
  FROM broken_rows
  WHERE source IN ('attendance', 'spot_checks', 'machine_sessions')
  GROUP BY institution_id, person_id, from_day
),
used AS (
  SELECT l.institution_id, l.person_id, l.service_day AS day, count(*) AS lines
  FROM shields s
  JOIN refutable_lines l ON s.line = l.line
  WHERE s.shield = 'broken_row'
  GROUP BY l.institution_id, l.person_id, l.service_day
)
SELECT
  u.institution_id,
  u.person_id,
  u.day,
  least(u.wards + u.dialysis, greatest(0, u.wards + u.dialysis + u.runs - coalesce(d.lines, 0))) AS broken
FROM unread u
LEFT JOIN used d ON u.institution_id = d.institution_id AND u.person_id = d.person_id AND u.day = d.day
