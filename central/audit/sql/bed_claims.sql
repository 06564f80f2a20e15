-- Every billed bed day of those persons, with the stay it belongs to and whether the person was seen there. A day
-- without a stay belongs to a run of billed days instead, in which up to three may be missing.
WITH every AS (
  SELECT b.line, b.line_id, b.institution_id, b.person_id, b.visit_id, b.inpatient, b.service_time, b.service_day, b.utc_offset_us, b.amount, b.days, b.day, b.share
  FROM bed_billed b
  SEMI JOIN bed_crowds p ON b.person_id = p.person_id
  UNION ALL
  SELECT r.line, r.line_id, r.institution_id, r.person_id, r.visit_id, i.inpatient, r.service_time, r.service_day, r.utc_offset_us, r.amount, r.days, r.day, r.share
  FROM bed_rivals r
  LEFT JOIN inpatients i ON r.institution_id = i.institution_id AND r.person_id = i.person_id
),
stays_of AS (
  SELECT e.line, e.day, v.visit_id, v.first_day, v.last_day, 0 AS far
  FROM every e
  JOIN bed_visits v ON e.institution_id = v.institution_id AND e.visit_id = v.visit_id
  WHERE e.day >= v.first_day AND (v.last_day IS NULL OR e.day <= v.last_day)
  UNION ALL
  SELECT e.line, e.day, v.visit_id, v.first_day, v.last_day, 1 AS far
  FROM every e
  JOIN bed_visits v ON e.institution_id = v.institution_id AND e.person_id = v.person_id
  WHERE e.day >= v.first_day AND (v.last_day IS NULL OR e.day <= v.last_day)
),
nearest AS (
  SELECT *, row_number() OVER (PARTITION BY line, day ORDER BY far, first_day DESC, visit_id) AS place
  FROM stays_of
),
placed AS (
  SELECT
    e.line,
    e.line_id,
    e.institution_id,
    e.person_id,
    e.service_time,
    e.day,
    e.days,
    CASE WHEN e.amount = 0 THEN CAST(0 AS BIGINT) ELSE least(e.share, 10000) END AS weight,
    e.service_day = e.day AND e.days = 1 AND e.service_time + e.utc_offset_us < e.day * 86400000000 + c.night_posting_us AS by_night,
    CASE WHEN s.evidence IS NULL THEN 0 ELSE 1 END AS seen,
    CASE WHEN n.visit_id IS NULL THEN 0 ELSE 1 END AS has_stay,
    coalesce(n.visit_id, '') AS stay,
    n.first_day,
    coalesce(n.last_day, CASE WHEN n.visit_id IS NULL THEN NULL ELSE CAST(1000000 AS BIGINT) END) AS last_day
  FROM every e
  JOIN bed_calendar c ON e.service_day = c.day
  LEFT JOIN nearest n ON e.line = n.line AND e.day = n.day AND n.place = 1
  LEFT JOIN bed_sightings s ON e.inpatient = s.inpatient AND e.day = s.day
),
starts AS (
  SELECT
    institution_id,
    person_id,
    day,
    CASE WHEN day - lag(day) OVER (PARTITION BY institution_id, person_id ORDER BY day) <= 4 THEN 0 ELSE 1 END AS starts
  FROM (SELECT DISTINCT institution_id, person_id, day FROM placed WHERE has_stay = 0) days
),
runs AS (
  SELECT
    institution_id,
    person_id,
    day,
    sum(starts) OVER (PARTITION BY institution_id, person_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
  FROM starts
),
ends AS (
  SELECT
    institution_id,
    person_id,
    day,
    min(day) OVER (PARTITION BY institution_id, person_id, run) AS first_day,
    max(day) OVER (PARTITION BY institution_id, person_id, run) AS last_day
  FROM runs
)
SELECT
  p.line,
  p.line_id,
  p.institution_id,
  p.person_id,
  p.service_time,
  p.day,
  p.weight,
  p.by_night,
  p.seen,
  p.has_stay,
  p.stay,
  coalesce(p.first_day, e.first_day) AS first_day,
  coalesce(p.last_day, e.last_day) AS last_day
FROM placed p
LEFT JOIN ends e
  ON p.has_stay = 0
  AND p.institution_id = e.institution_id
  AND p.person_id = e.person_id
  AND p.day = e.day
