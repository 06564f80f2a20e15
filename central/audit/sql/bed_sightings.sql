-- On which bed days of the billed institution a verified presence or sign-in, or a spot check, shows the person, and
-- by what. A sign-out shows when somebody left.
-- A window that reaches past midnight takes in events of the following morning.
WITH shown AS (
  SELECT person_here, occurred_at_day AS local_day, occurred_at_local AS at_local, event_id AS evidence
  FROM attendance
  WHERE verified AND event_type IN ('sign_in', 'presence') AND occurred_at_day BETWEEN $bed_from_day AND $to_day + 1
  UNION ALL
  SELECT
    person_here,
    coalesce(answered_at_day, drawn_at_day) AS local_day,
    coalesce(answered_at_local, drawn_at_local) AS at_local,
    check_id AS evidence
  FROM spot_checks
  WHERE result = 'present'
),
there AS (
  SELECT s.person_here AS inpatient, s.local_day, s.at_local, s.evidence
  FROM shown s
  SEMI JOIN inpatients i ON s.person_here = i.inpatient
),
on_days AS (
  SELECT t.inpatient, w.day, t.evidence
  FROM there t
  JOIN bed_calendar w ON t.local_day = w.day
  WHERE t.at_local >= w.day * 86400000000 + w.from_us
    AND t.at_local < w.day * 86400000000 + w.to_us
  UNION ALL
  SELECT t.inpatient, w.day, t.evidence
  FROM there t
  JOIN bed_calendar w ON t.local_day = w.day + 1
  WHERE w.to_us > 86400000000
    AND t.at_local < w.day * 86400000000 + w.to_us
)
SELECT inpatient, day, min(evidence) AS evidence
FROM on_days
GROUP BY inpatient, day
