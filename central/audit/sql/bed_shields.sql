-- Bed days that a broken row alone could have cleared: by a leave those that it names, else one; by a stay those of
-- its visit; by a sign-in, a presence or a check one, of its day if that could be read.
WITH by_leave AS (
  SELECT DISTINCT a.line, a.day
  FROM bed_accused a
  JOIN broken_rows r ON a.institution_id = r.institution_id AND a.person_id = r.person_id
  WHERE r.source = 'leaves'
    AND a.reason IN ('absent_at_check', 'elsewhere')
    AND a.day BETWEEN r.from_day AND coalesce(r.to_day, r.from_day)
),
by_stay AS (
  SELECT DISTINCT a.line, a.day
  FROM bed_accused a
  JOIN broken_rows r ON a.institution_id = r.institution_id AND a.visit_id = r.visit_id
  WHERE r.source = 'stays'
    AND (a.reason = 'outside_stay' OR (a.reason = 'elsewhere' AND (a.day = r.from_day OR a.day = r.to_day)))
  UNION
  SELECT DISTINCT a.line, a.day
  FROM bed_accused a
  JOIN broken_rows r ON a.institution_id = r.institution_id AND a.person_id = r.person_id
  WHERE r.source = 'stays'
    AND r.visit_id IS NULL
    AND (a.reason = 'outside_stay' OR (a.reason = 'elsewhere' AND (a.day = r.from_day OR a.day = r.to_day)))
),
by_sighting AS (
  SELECT line, day
  FROM (
    SELECT
      a.line,
      a.day,
      u.broken,
      row_number() OVER (PARTITION BY a.institution_id, a.person_id, a.day ORDER BY a.service_time, a.line_id) AS place
    FROM bed_accused a
    JOIN bed_sightings_broken u ON a.institution_id = u.institution_id AND a.person_id = u.person_id AND a.day = u.day
    WHERE a.reason IN ('outside_stay', 'elsewhere')
  ) ranked
  WHERE place <= broken
),
dated AS (
  SELECT line, day FROM by_leave
  UNION
  SELECT line, day FROM by_stay
  UNION
  SELECT line, day FROM by_sighting
),
by_any_sighting AS (
  SELECT line, day
  FROM (
    SELECT
      a.line,
      a.day,
      u.broken,
      row_number() OVER (PARTITION BY a.institution_id, a.person_id ORDER BY a.day, a.service_time, a.line_id) AS place
    FROM bed_accused a
    JOIN bed_sightings_broken u ON a.institution_id = u.institution_id AND a.person_id = u.person_id AND u.day IS NULL
    ANTI JOIN dated d ON a.line = d.line AND a.day = d.day
    WHERE a.reason IN ('outside_stay', 'elsewhere')
  ) ranked
  WHERE place <= broken
),
leaves_of_no_day AS (
  SELECT institution_id, person_id, count(*) AS broken
  FROM broken_rows
  WHERE source = 'leaves' AND from_day IS NULL
  GROUP BY institution_id, person_id
),
by_any_leave AS (
  SELECT line, day
  FROM (
    SELECT
      a.line,
      a.day,
      u.broken,
      row_number() OVER (PARTITION BY a.institution_id, a.person_id ORDER BY a.day, a.service_time, a.line_id) AS place
    FROM bed_accused a
    JOIN leaves_of_no_day u ON a.institution_id = u.institution_id AND a.person_id = u.person_id
    ANTI JOIN dated d ON a.line = d.line AND a.day = d.day
    ANTI JOIN by_any_sighting s ON a.line = s.line AND a.day = s.day
    WHERE a.reason IN ('absent_at_check', 'elsewhere')
  ) ranked
  WHERE place <= broken
)
SELECT line, day FROM dated
UNION
SELECT line, day FROM by_any_sighting
UNION
SELECT line, day FROM by_any_leave
