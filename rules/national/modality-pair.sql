/*
id: modality-pair
version: "1.0"
title: {zh: 一次治疗按多种方式收费, en: One treatment billed as several modalities}
status: stable
basis: [国务院令第735号 第三十八条（重复收费） / State Council Decree 735 art 38]
stage: after
level: medium
known_false_positives:
  - {zh: 同日确做两次不同方式的治疗，只有一次签到, en: two treatments of different modality on one day with one sign-in}
explanation:
  zh: "参保人当日在 {institution_id} 按 {classes} 种方式（透析、透析滤过、滤过）计费 {lines} 行、{amount} 元，而当日只有 {sessions} 次治疗；一次治疗只能按一种方式收费。"
  en: "{institution_id} billed {classes} modalities (haemodialysis, haemodiafiltration, haemofiltration) on {lines} lines, {amount} yuan, for a person with {sessions} treatment(s) that day. One treatment has one modality."
examples:
  - title: {zh: 一次治疗计透析、透析滤过、滤过, en: "HD, HDF and HF of one session"}
    tables:
      claim_lines:
        - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
        - {line_id: L2, item_code: HDF, service_time: "2026-03-04 10:00", amount: 500}
        - {line_id: L3, item_code: HF, service_time: "2026-03-04 10:00", amount: 450}
      attendance:
        - {event_id: E1, occurred_at: "2026-03-04 08:00"}
        - {event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:00"}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1, L2, L3], amount: 1350}
    neighbour:
      title: {zh: 透析加灌流, en: haemodialysis with haemoperfusion}
      tables:
        claim_lines:
          - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
          - {line_id: L2, item_code: HP, service_time: "2026-03-04 10:00", amount: 700}
  - title: {zh: 门诊无签到，同日两种方式, en: two modalities of an outpatient without any sign-in}
    tables:
      claim_lines:
        - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
        - {line_id: L2, item_code: HDF, service_time: "2026-03-04 10:00", amount: 500}
    flags: [{line_ids: [L1, L2]}]
    neighbour:
      title: {zh: 住院床旁，无签到不作判断, en: "at the bedside of an inpatient, where nobody signs in"}
      tables:
        claim_lines:
          - {line_id: L1, item_code: HD, visit_type: inpatient, service_time: "2026-03-04 10:00", amount: 400}
          - {line_id: L2, item_code: HF, visit_type: inpatient, service_time: "2026-03-04 18:00", amount: 500}
*/
WITH lines AS (
  SELECT
    d.line,
    d.line_id,
    d.institution_id,
    d.person_id,
    d.service_day,
    d.service_time,
    d.item_class,
    d.amount,
    c.visit_type
  FROM dialysis_lines d
  JOIN claim_lines c ON d.line = c.line
  WHERE d.item_class IN ('haemodialysis', 'haemodiafiltration', 'haemofiltration')
    AND d.service_day BETWEEN $from_day AND $to_day
),
days_of AS (
  SELECT
    institution_id,
    person_id,
    service_day,
    count(DISTINCT item_class) AS classes,
    max(CASE WHEN visit_type = 'inpatient' THEN 1 ELSE 0 END) AS inpatient
  FROM lines
  GROUP BY institution_id, person_id, service_day
  HAVING count(DISTINCT item_class) > 1
),
had AS (
  SELECT d.institution_id, d.person_id, d.service_day, d.classes, d.inpatient, count(DISTINCT s.session) AS sessions
  FROM days_of d
  LEFT JOIN dialysis_sessions s
    ON d.institution_id = s.institution_id
    AND d.person_id = s.person_id
    AND d.service_day BETWEEN s.first_day AND s.last_day
  GROUP BY d.institution_id, d.person_id, d.service_day, d.classes, d.inpatient
)
SELECT
  l.institution_id,
  l.person_id,
  array_agg(l.line_id) AS line_ids,
  sum(l.amount) AS amount,
  min(l.service_time) AS from_at,
  max(l.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  h.classes,
  h.sessions,
  count(*) AS lines
FROM had h
JOIN lines l
  ON h.institution_id = l.institution_id AND h.person_id = l.person_id AND h.service_day = l.service_day
WHERE h.classes > h.sessions AND (h.sessions > 0 OR h.inpatient = 0)
GROUP BY l.institution_id, l.person_id, l.service_day, h.classes, h.sessions
