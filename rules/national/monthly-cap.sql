/*
id: monthly-cap
version: "1.1"
title: {zh: 透析次数超月支付上限, en: More sessions in a month than are paid for}
status: stable
basis: [地区支付政策，见知识表 caps / a region's payment policy, knowledge table caps]
stage: after
level: medium
known_false_positives:
  - {zh: 医嘱要求的短时每日透析, en: short daily dialysis that a doctor ordered}
  - {zh: 急诊追加治疗, en: extra sessions in an emergency}
explanation:
  zh: "参保人一月内计费 {item_class} 共 {billed} 次，支付上限 {most} 次。"
  en: "{billed} {item_class} sessions were billed for the person in one month; {most} are paid for."
examples:
  - title: {zh: 超出一次, en: one more than the cap}
    tables:
      claim_lines:
        - {repeat: 17, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
    flags:
      - {institution_id: H1, person_id: P1, amount: 6800}
    neighbour:
      title: {zh: 恰好达到上限, en: exactly the cap}
      tables:
        claim_lines:
          - {repeat: 16, every_minutes: 2640, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
*/
WITH sums AS (
  SELECT
    person_id,
    item_class,
    month,
    sum(quantity) AS billed,
    sum(amount) AS amount,
    array_agg(line_id) AS line_ids,
    max(institution_id) AS institution_id,
    min(service_time) AS from_at,
    max(service_time) AS to_at,
    min(service_day) AS first_day,
    max(service_day) AS last_day,
    max(CASE WHEN service_day BETWEEN $from_day AND $to_day THEN 1 ELSE 0 END) AS in_period
  FROM capped_lines
  GROUP BY person_id, item_class, month
),
-- where the cap changes within the month, the higher one holds for all of it
capped AS (
  SELECT s.person_id, s.item_class, s.month, max(c.most) AS most
  FROM sums s
  JOIN known_caps c
    ON s.item_class = c.item_class
    AND c.period = 'month'
    AND c.valid_from <= s.last_day
    AND c.valid_to >= s.first_day
  GROUP BY s.person_id, s.item_class, s.month
)
SELECT
  s.institution_id,
  s.person_id,
  s.line_ids,
  s.amount,
  s.from_at,
  s.to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  s.item_class,
  s.billed,
  c.most
FROM sums s
JOIN capped c ON s.person_id = c.person_id AND s.item_class = c.item_class AND s.month = c.month
WHERE s.in_period = 1 AND s.billed > c.most
