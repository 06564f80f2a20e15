/*
id: knowledge-frequency
version: "1.2"
title: {zh: 项目超过限定频次, en: "More of an item than is paid for in an hour, a day, a week, a month or a visit"}
status: stable
basis: [国务院令第735号 第三十八条（超标准收费、重复收费） / State Council Decree 735 art 38, "国家医保“两库”第八批（频次与疗程） / national library, batch 8 (frequencies and courses)"]
stage: before
level: medium
known_false_positives:
  - {zh: 数日费用合并在一日记账, en: several days billed on one}
explanation:
  zh: "参保人在 {institution_id} {period_zh}计费 {item_code} 共 {billed}，限 {most}；超出部分约 {excess} 元。"
  en: "{billed} of {item_code} were billed for the person at {institution_id} {period_en}; the limit is {most}. The excess comes to about {excess} yuan."
examples:
  - title: {zh: 一日三十小时自动腹膜透析, en: thirty hours of automated peritoneal dialysis in a day}
    tables:
      claim_lines:
        - {line_id: L1, item_code: "003110000020000", service_time: "2026-03-04 10:00", quantity: 18, amount: 180}
        - {line_id: L2, item_code: "003110000020000", service_time: "2026-03-04 20:00", quantity: 12, amount: 120}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1, L2], amount: 60}
    neighbour:
      title: {zh: 恰好二十四小时, en: exactly twenty-four}
      tables:
        claim_lines:
          - {line_id: L1, item_code: "003110000020000", service_time: "2026-03-04 10:00", quantity: 12, amount: 120}
          - {line_id: L2, item_code: "003110000020000", service_time: "2026-03-04 20:00", quantity: 12, amount: 120}
  - title: {zh: 一周两次，跨月, en: "twice in one week, over the end of a month"}
    tables:
      claim_lines:
        - {line_id: L1, item_code: EXAMPLE-WEEKLY, service_time: "2026-03-30 10:00", amount: 100}
        - {line_id: L2, item_code: EXAMPLE-WEEKLY, service_time: "2026-04-02 10:00", amount: 100}
    flags: [{line_ids: [L1, L2], amount: 100}]
    neighbour:
      title: {zh: 两周各一次, en: once in each of two weeks}
      tables:
        claim_lines:
          - {line_id: L1, item_code: EXAMPLE-WEEKLY, service_time: "2026-03-29 10:00", amount: 100}
          - {line_id: L2, item_code: EXAMPLE-WEEKLY, service_time: "2026-03-30 10:00", amount: 100}
  - title: {zh: 一月两次, en: twice in one month}
    tables:
      claim_lines:
        - {line_id: L1, item_code: EXAMPLE-MONTHLY, service_time: "2026-03-02 10:00", amount: 100}
        - {line_id: L2, item_code: EXAMPLE-MONTHLY, service_time: "2026-03-31 10:00", amount: 100}
    flags: [{line_ids: [L1, L2], amount: 100}]
    neighbour:
      title: {zh: 两月各一次, en: once in each of two months}
      tables:
        claim_lines:
          - {line_id: L1, item_code: EXAMPLE-MONTHLY, service_time: "2026-03-31 10:00", amount: 100}
          - {line_id: L2, item_code: EXAMPLE-MONTHLY, service_time: "2026-04-01 10:00", amount: 100}
  - title: {zh: 一次就诊两次, en: twice in one visit}
    tables:
      claim_lines:
        - {line_id: L1, visit_id: V1, item_code: EXAMPLE-ONCE, service_time: "2026-03-04 10:00", amount: 100}
        - {line_id: L2, visit_id: V1, item_code: EXAMPLE-ONCE, service_time: "2026-03-05 10:00", amount: 100}
    flags: [{line_ids: [L1, L2], amount: 100}]
    neighbour:
      title: {zh: 两次就诊, en: in two visits}
      tables:
        claim_lines:
          - {line_id: L1, visit_id: V1, item_code: EXAMPLE-ONCE, service_time: "2026-03-04 10:00", amount: 100}
          - {line_id: L2, visit_id: V2, item_code: EXAMPLE-ONCE, service_time: "2026-03-05 10:00", amount: 100}
*/
WITH counted AS (
  SELECT
    l.institution_id,
    l.person_id,
    l.item_code,
    k.period,
    k.most,
    k.point,
    k.point_version,
    array_agg(l.line_id) AS line_ids,
    sum(l.quantity) AS billed,
    sum(l.amount) AS amount,
    min(l.service_time) AS from_at,
    max(l.service_time) AS to_at
  FROM billed_lines l
  JOIN known_frequencies k
    ON l.item_code = k.item_code AND l.service_day BETWEEN k.valid_from AND k.valid_to
  WHERE k.period IN ('hour', 'day', 'visit')
    AND l.service_day BETWEEN $from_day AND $to_day
    AND (l.quantity > 0 OR l.amount > 0)
  GROUP BY
    l.institution_id,
    l.person_id,
    l.item_code,
    k.period,
    k.most,
    k.point,
    k.point_version,
    CASE WHEN k.period = 'visit' THEN l.visit_id END,
    CASE WHEN k.period = 'day' THEN l.service_day END,
    CASE WHEN k.period = 'hour' THEN l.service_time // 3600000000 END
  UNION ALL
  -- a week or month counts whole, as far as the tables reach, where the period touches it with a line
  SELECT
    l.institution_id,
    l.person_id,
    l.item_code,
    k.period,
    k.most,
    k.point,
    k.point_version,
    array_agg(l.line_id) AS line_ids,
    sum(l.quantity) AS billed,
    sum(l.amount) AS amount,
    min(l.service_time) AS from_at,
    max(l.service_time) AS to_at
  FROM net_lines l
  JOIN known_frequencies k
    ON l.item_code = k.item_code AND l.service_time_day BETWEEN k.valid_from AND k.valid_to
  JOIN calendar c ON l.service_time_day = c.day
  WHERE k.period IN ('week', 'month') AND (l.quantity > 0 OR l.amount > 0)
  GROUP BY
    l.institution_id,
    l.person_id,
    l.item_code,
    k.period,
    k.most,
    k.point,
    k.point_version,
    CASE WHEN k.period = 'week' THEN c.week END,
    CASE WHEN k.period = 'month' THEN c.month END
  HAVING max(CASE WHEN l.service_time_day BETWEEN $from_day AND $to_day THEN 1 ELSE 0 END) = 1
),
beyond AS (
  SELECT
    *,
    CAST(amount * 100 AS BIGINT) * CAST((billed - most) * 10000 AS BIGINT) // CAST(billed * 10000 AS BIGINT) AS cents
  FROM counted
  WHERE billed > most
)
SELECT
  institution_id,
  person_id,
  line_ids,
  cents / 100 AS amount,
  from_at,
  to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  item_code,
  most,
  CAST(billed AS DOUBLE) AS billed,
  cents / 100 AS excess,
  CASE
    WHEN period = 'visit' THEN '一次就诊'
    WHEN period = 'day' THEN '一日'
    WHEN period = 'week' THEN '一周'
    WHEN period = 'month' THEN '一月'
    ELSE '一小时'
  END AS period_zh,
  CASE
    WHEN period = 'visit' THEN 'in one visit'
    WHEN period = 'day' THEN 'on one day'
    WHEN period = 'week' THEN 'in one week'
    WHEN period = 'month' THEN 'in one month'
    ELSE 'within one hour'
  END AS period_en,
  point,
  point_version
FROM beyond
