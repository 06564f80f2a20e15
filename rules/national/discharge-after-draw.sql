/*
id: discharge-after-draw
version: "1.0"
title: {zh: 抽查之后补记的出院, en: "Discharge recorded only after a spot check was drawn"}
status: stable
basis: [国务院令第735号 第三十八条（挂床住院） / State Council Decree 735 art 38]
stage: during
level: medium
parameters:
  readmitted_hours:
    unit: hours
    meaning: {zh: 出院后再入院的时间，在此以内另作严重疑点, en: "an admission within this time of the discharge makes it the severe finding"}
    values:
      - {from: 2020-01-01, value: 48, reference: "稽核规范第二版 / audit specification, version 2"}
known_false_positives:
  - {zh: 出院手续在离院数小时后才录入, en: a discharge that was entered hours after the patient had left}
  - {zh: 系统网络中断后补录, en: a record entered after a network outage}
explanation:
  zh: "{from_at} 抽出的床旁抽查，在抽出 {minutes_late} 分钟之后才登记出院，所记出院时间却在抽查应答之前；抽查时患者不在。请核对离院时间的其他凭证。"
  en: "The discharge was recorded {minutes_late} minutes after the bedside check of {from_at} had been drawn, yet dated before the check was answered; the patient was not found. Look for other evidence of when the patient left."
examples:
  - title: {zh: 抽查一小时后补记出院, en: recorded an hour after the draw}
    tables:
      spot_checks:
        - {check_id: C1, visit_id: V1, drawn_at: "2026-03-04 10:00", answered_at: "2026-03-04 10:20", result: absent}
      stays:
        - {visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-04 09:00", discharge_recorded_at: "2026-03-04 11:00"}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [], evidence: [C1, V1]}
    neighbour:
      title: {zh: 抽查之前已记录出院, en: recorded before the draw}
      tables:
        stays:
          - {visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-04 09:00", discharge_recorded_at: "2026-03-04 09:20"}
*/
WITH told AS (
  SELECT
    c.check_id,
    c.institution_id,
    c.person_id,
    c.drawn_at,
    p.visit_id,
    p.discharged_at,
    p.discharge_recorded_at
  FROM spot_checks c
  JOIN stays p
    ON c.institution_id = p.institution_id
    AND c.person_id = p.person_id
    AND p.admitted_at <= c.drawn_at
    AND p.discharge_recorded_at > c.drawn_at
    AND p.discharged_at <= coalesce(c.answered_at, c.due_at)
  WHERE c.drawn_at_day BETWEEN $from_day AND $to_day
    AND c.result IN ('absent', 'away_approved', 'identity_mismatch', 'refused', 'unanswered')
),
back AS (
  SELECT t.check_id, min(n.admitted_at) AS back_at
  FROM told t
  JOIN stays n
    ON t.institution_id = n.institution_id
    AND t.person_id = n.person_id
    AND n.visit_id <> t.visit_id
    AND n.admitted_at >= t.discharged_at
    AND n.admitted_at <= t.discharged_at + $readmitted_hours * 3600000000
  GROUP BY t.check_id
)
SELECT
  t.institution_id,
  t.person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  t.drawn_at AS from_at,
  max(t.discharge_recorded_at) AS to_at,
  [t.check_id, t.visit_id] AS evidence,
  t.check_id,
  (max(t.discharge_recorded_at) - t.drawn_at) // 60000000 AS minutes_late
FROM told t
ANTI JOIN back b ON t.check_id = b.check_id
GROUP BY t.institution_id, t.person_id, t.check_id, t.drawn_at, t.visit_id
