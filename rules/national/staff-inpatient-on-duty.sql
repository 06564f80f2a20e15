/*
id: staff-inpatient-on-duty
version: "1.0"
title: {zh: 住院期间在岗上班, en: At work while an inpatient}
status: stable
basis: [国务院令第735号 第三十八条（挂床住院） / State Council Decree 735 art 38]
stage: after
level: medium
parameters:
  least_hours:
    unit: hours
    meaning: {zh: 住院日内在岗多久才提示, en: "how long somebody must have been at work on a day of the stay"}
    values:
      - {from: 2020-01-01, value: 4, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 住院中短时处理工作而忘记签退, en: somebody who dropped in at work and forgot to sign out}
explanation:
  zh: "{person_id} 在 {institution_id} 住院的 {days} 天里每天在岗至少 {least_hours} 小时，当日床位等费用 {amount} 元。"
  en: "On {days} day(s) of a stay at {institution_id}, {person_id} was at work for at least {least_hours} hours; beds of {amount} yuan were billed for those days."
examples:
  - title: {zh: 夜班医师在自己科室住院, en: a night-duty doctor who is a patient of the house}
    tables:
      claim_lines: [{line_id: L1, visit_id: V1, item_code: BED, visit_type: inpatient, service_time: "2026-03-04 10:00", amount: 80}]
      stays: [{visit_id: V1, admitted_at: "2026-03-02 09:00", discharged_at: "2026-03-06 09:00"}]
      staff_presence: [{presence_id: A1, person_id: P1, from_at: "2026-03-04 00:30", to_at: "2026-03-04 08:00"}]
    flags:
      - {institution_id: H1, line_ids: [L1], amount: 80}
    neighbour:
      title: {zh: 上完夜班当日入院, en: admitted after the night duty}
      tables:
        stays: [{visit_id: V1, admitted_at: "2026-03-04 09:00", discharged_at: "2026-03-06 09:00"}]
*/
-- The days of admission and of discharge are no evidence: one may come from work, or go to it.
WITH worked AS (
  SELECT
    s.institution_id,
    s.person_id,
    s.visit_id,
    c.day,
    p.presence_id,
    p.from_at,
    p.to_at,
    least(p.to_at_local, (c.day + 1) * 86400000000) - greatest(p.from_at_local, c.day * 86400000000) AS worked_us
  FROM stays s
  JOIN staff_presence p ON s.person_id = p.person_id
  JOIN calendar c
    ON c.day BETWEEN p.from_at_day AND p.to_at_day
    AND c.day > s.admitted_at_day
    AND (s.discharged_at IS NULL OR c.day < s.discharged_at_day)
  WHERE p.state = 'present'
    AND p.shown_by IN ('face', 'passkey')
    AND p.clock_trusted
    AND c.day BETWEEN $from_day AND $to_day
),
working_days AS (
  SELECT
    institution_id,
    person_id,
    visit_id,
    day,
    min(presence_id) AS presence_id,
    min(from_at) AS from_at,
    max(to_at) AS to_at
  FROM worked
  GROUP BY institution_id, person_id, visit_id, day
  HAVING sum(greatest(worked_us, 0)) >= $least_hours * 3600000000
),
beds AS (
  SELECT
    d.institution_id,
    d.person_id,
    d.visit_id,
    d.day,
    d.presence_id,
    d.from_at,
    d.to_at,
    b.line_id,
    b.amount
  FROM working_days d
  JOIN billed_lines b
    ON d.institution_id = b.institution_id
    AND d.person_id = b.person_id
    AND d.visit_id = b.visit_id
    AND d.day = b.service_day
  WHERE b.item_class = 'bed_day'
)
SELECT
  institution_id,
  person_id,
  array_agg(DISTINCT line_id) AS line_ids,
  sum(amount) AS amount,
  min(from_at) AS from_at,
  max(to_at) AS to_at,
  array_agg(DISTINCT presence_id) AS evidence,
  count(DISTINCT day) AS days,
  $least_hours AS least_hours
FROM beds
GROUP BY institution_id, person_id, visit_id
