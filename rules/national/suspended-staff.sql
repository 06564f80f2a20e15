/*
id: suspended-staff
version: "1.0"
title: {zh: 暂停或终止医保支付资格的人员开单, en: Billed by staff whose payment is suspended}
status: stable
basis: [国家医保局《医疗保障定点医疗机构相关人员医保支付资格管理办法》 / NHSA rules on the payment eligibility of staff]
stage: before
level: high
known_false_positives:
  - {zh: 急诊抢救期间的必要服务, en: "emergency care, which the rules exempt"}
  - {zh: 暂停决定已撤销而名单未更新, en: a suspension that was lifted and not yet removed from the list}
explanation:
  zh: "{institution_id} 有 {lines} 条费用、{amount} 元由 {staff_id} 开单，而其医保支付资格在这些日子处于暂停或终止期间（依据：{reference}）。"
  en: "{institution_id} billed {lines} line(s), {amount} yuan, ordered by {staff_id}, whose entitlement to payment from the fund was suspended or ended on those days (decision: {reference})."
examples:
  - title: {zh: 暂停期间开单, en: a line in the suspension}
    tables:
      claim_lines: [{line_id: L1, item_code: HD, doctor_id: D9, service_time: "2026-03-04 10:00", amount: 400}]
      staff_suspensions: [{staff_id: D9, from_day: 2026-03-01, to_day: 2026-03-31, reference: 决定2026-7}]
    flags:
      - {institution_id: H1, line_ids: [L1], amount: 400}
    neighbour:
      title: {zh: 暂停期满次日, en: the day after its end}
      tables:
        staff_suspensions: [{staff_id: D9, from_day: 2026-02-01, to_day: 2026-03-03, reference: 决定2026-7}]
*/
WITH suspended AS (
  SELECT DISTINCT
    b.line,
    b.line_id,
    b.institution_id,
    b.amount,
    b.service_time,
    b.doctor_id AS staff_id
  FROM billed_lines b
  JOIN staff_suspensions s
    ON b.doctor_id = s.staff_id
    AND b.service_day >= s.from_day
    AND (s.to_day IS NULL OR b.service_day <= s.to_day)
  WHERE b.service_day BETWEEN $from_day AND $to_day
),
decisions AS (
  SELECT staff_id, max(reference) AS reference FROM staff_suspensions GROUP BY staff_id
)
SELECT
  s.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  array_agg(s.line_id) AS line_ids,
  sum(s.amount) AS amount,
  min(s.service_time) AS from_at,
  max(s.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  s.staff_id,
  d.reference,
  count(*) AS lines
FROM suspended s
JOIN decisions d ON s.staff_id = d.staff_id
GROUP BY s.institution_id, s.staff_id, d.reference
