/*
id: dialysis-during-stay-elsewhere
version: "1.1"
title: {zh: 在他院住院期间透析计费, en: Dialysis billed at one institution during a stay at another}
status: stable
basis: [国务院令第735号 第四十条 / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  margin_hours:
    unit: hours
    meaning: {zh: 入院后与出院前不计的时间, en: hours after admission and before discharge that do not count}
    values:
      - {from: 2020-01-01, value: 24, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 住院医院无透析设备，外送透析但未登记请假, en: a patient sent out for dialysis by a hospital without machines whose leave was not recorded}
explanation:
  zh: "参保人在 {stay_institution_id} 住院期间，{institution_id} 为其计费透析 {lines} 条，无请假记录。"
  en: "While the person was an inpatient at {stay_institution_id}, {institution_id} billed {lines} dialysis line(s); no recorded leave covers them."
examples:
  - title: {zh: 住院第三天在他院透析, en: dialysis elsewhere on the third day of a stay}
    tables:
      claim_lines:
        - {line_id: L1, institution_id: H2, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
      stays:
        - {visit_id: V1, institution_id: H1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-08 10:00"}
    flags:
      - {institution_id: H2, person_id: P1, line_ids: [L1], evidence: [V1], amount: 400}
    neighbour:
      title: {zh: 有请假外出检查, en: out on a recorded leave}
      tables:
        leaves:
          - {visit_id: V1, kind: examination, left_at: "2026-03-04 08:00", returned_at: "2026-03-04 15:00"}
  - title: {zh: 同样，院外透析, en: the same with another person}
    tables:
      claim_lines:
        - {line_id: L1, institution_id: H2, item_code: HDF, service_time: "2026-03-05 10:00", amount: 500}
      stays:
        - {visit_id: V1, institution_id: H1, admitted_at: "2026-03-01 09:00"}
    flags:
      - {line_ids: [L1]}
    neighbour:
      title: {zh: 同院住院透析, en: inpatient dialysis at the same institution}
      tables:
        stays:
          - {visit_id: V1, institution_id: H2, admitted_at: "2026-03-01 09:00"}
  - title: {zh: 他院住院期间计费而无治疗记录, en: billed during a stay elsewhere without any treatment}
    tables:
      claim_lines:
        - {line_id: L1, institution_id: H2, item_code: HD, service_time: "2026-03-04 10:00"}
      stays:
        - {visit_id: V1, institution_id: H1, admitted_at: "2026-03-01 09:00"}
    flags: [{line_ids: [L1]}]
    neighbour:
      title: {zh: 当日确在透析机构签到签退, en: signed in and out at the dialysis unit}
      tables:
        attendance:
          - {institution_id: H2, event_id: E1, occurred_at: "2026-03-04 08:00"}
          - {institution_id: H2, event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:00"}
*/
WITH during AS (
  SELECT
    l.line_id,
    l.institution_id,
    l.person_id,
    l.service_time,
    l.amount,
    s.institution_id AS stay_institution_id,
    s.visit_id
  FROM dialysis_lines l
  JOIN stays s
    ON l.person_id = s.person_id
    AND l.institution_id <> s.institution_id
    AND l.service_time >= s.admitted_at + $margin_hours * 3600000000
    AND (s.discharged_at IS NULL OR l.service_time <= s.discharged_at - $margin_hours * 3600000000)
  -- a line with its own treatment, however late it was entered, is no matter of the stay
  ANTI JOIN line_verdicts v ON l.line = v.line AND (v.verdict = 'supported' OR v.reason = 'other_day')
  WHERE l.service_day BETWEEN $from_day AND $to_day
),
unexplained AS (
  SELECT d.*
  FROM during d
  ANTI JOIN leaves v
    ON d.stay_institution_id = v.institution_id
    AND d.person_id = v.person_id
    AND d.service_time >= v.left_at
    AND (coalesce(v.returned_at, v.due_back_at) IS NULL OR d.service_time <= coalesce(v.returned_at, v.due_back_at))
)
SELECT
  institution_id,
  person_id,
  array_agg(DISTINCT line_id) AS line_ids,
  sum(amount) AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  array_agg(DISTINCT visit_id) AS evidence,
  stay_institution_id,
  count(DISTINCT line_id) AS lines
FROM unexplained
GROUP BY institution_id, person_id, stay_institution_id, visit_id
