/*
id: weekly-cap
version: "1.2"
title: {zh: 透析次数超周支付上限, en: More sessions in a week than are paid for}
status: stable
basis: ["地区支付政策，见知识库的上限表 / a region's payment policy; see the table of caps"]
stage: after
level: medium
parameters:
  bundle_sessions:
    unit: sessions
    meaning: {zh: 一条达到此例次即视为集中补记，不计入当周, en: "a line of as many sessions was billed for several weeks at once, and does not count"}
    values:
      - {from: 2020-01-01, value: 3, reference: "费用时间不是治疗时间 / fee time is not treatment time"}
known_false_positives:
  - {zh: 处方要求的短时每日透析, en: short daily dialysis that a doctor ordered}
  - {zh: 急诊追加治疗, en: extra sessions in an emergency}
explanation:
  zh: "参保人一周内在各机构计费{item_class}共 {billed} 次，支付上限 {most} 次；其中 {institution_id} 计费 {own} 次，超出上限的部分有 {beyond} 条出自该机构。"
  en: "{billed} {item_class} sessions were billed for the person in one week by all institutions; the fund pays for {most}. {institution_id} billed {own} of them, including {beyond} line(s) beyond the cap."
examples:
  - title: {zh: 超出一次, en: one more than the cap}
    tables:
      claim_lines:
        - {repeat: 5, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
    flags:
      - {institution_id: H1, person_id: P1, amount: 2000}
    neighbour:
      title: {zh: 恰好达到上限, en: exactly the cap}
      tables:
        claim_lines:
          - {repeat: 4, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
  - title: {zh: 由后一家机构超出, en: a second institution goes beyond it}
    tables:
      claim_lines:
        - {repeat: 4, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
        - {line_id: L0, institution_id: H2, item_code: HD, service_time: "2026-03-08 22:00"}
    flags:
      - {institution_id: H2, person_id: P1, line_ids: [L0], amount: 400}
    neighbour:
      title: {zh: 下一周, en: in the next week}
      tables:
        claim_lines:
          - {repeat: 4, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
          - {line_id: L0, institution_id: H2, item_code: HD, service_time: "2026-03-10 10:00"}
  - title: {zh: 逐次计费超出一次, en: one more than the cap line by line}
    tables:
      claim_lines:
        - {repeat: 5, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
        - {line_id: M1, item_code: HD, service_time: "2026-03-08 18:00", quantity: 12, amount: 4800}
    flags: [{line_ids: [L0, L1, L2, L3, L4]}]
    neighbour:
      title: {zh: 月末合并记账十二次, en: a month's twelve sessions on one line}
      tables:
        claim_lines:
          - {line_id: M1, item_code: HD, service_time: "2026-03-31 18:00", quantity: 12, amount: 4800}
*/
-- Lines count in the order of their time, over all institutions; only who billed beyond the cap is named, with its own.
WITH spans AS (
  SELECT
    person_id,
    item_class,
    week,
    sum(quantity) AS billed,
    min(service_day) AS first_day,
    max(service_day) AS last_day
  FROM capped_lines
  WHERE quantity < $bundle_sessions
  GROUP BY person_id, item_class, week
  HAVING max(CASE WHEN service_day BETWEEN $from_day AND $to_day THEN 1 ELSE 0 END) = 1
),
-- where the cap changes within the week, the higher one holds for all of it
capped AS (
  SELECT s.person_id, s.item_class, s.week, s.billed, max(c.most) AS most
  FROM spans s
  JOIN known_caps c
    ON s.item_class = c.item_class
    AND c.period = 'week'
    AND c.valid_from <= s.last_day
    AND c.valid_to >= s.first_day
  GROUP BY s.person_id, s.item_class, s.week, s.billed
  HAVING s.billed > max(c.most)
),
counted AS (
  SELECT
    l.line_id,
    l.institution_id,
    l.person_id,
    l.item_class,
    l.week,
    l.service_time,
    l.quantity,
    l.amount,
    c.billed,
    c.most,
    sum(l.quantity) OVER (
      PARTITION BY l.person_id, l.item_class, l.week ORDER BY l.service_time, l.institution_id, l.line_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS so_far
  FROM capped_lines l
  JOIN capped c ON l.person_id = c.person_id AND l.item_class = c.item_class AND l.week = c.week
  WHERE l.quantity < $bundle_sessions
)
SELECT
  institution_id,
  person_id,
  array_agg(line_id) AS line_ids,
  sum(amount) AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  item_class,
  CAST(billed AS DOUBLE) AS billed,
  CAST(sum(quantity) AS DOUBLE) AS own,
  most,
  count(CASE WHEN so_far > most THEN 1 END) AS beyond
FROM counted
GROUP BY institution_id, person_id, item_class, week, billed, most
HAVING max(CASE WHEN so_far > most THEN 1 ELSE 0 END) = 1
