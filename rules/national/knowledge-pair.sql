/*
id: knowledge-pair
version: "1.1"
title: {zh: 主项已含从项，又另行收费, en: An item billed beside another one that includes it}
status: stable
basis: [国务院令第735号 第三十八条（重复收费、分解收费） / State Council Decree 735 art 38, "国家医保“两库”第七批（重复收费项目对） / national library, batch 7 (items charged twice)"]
stage: before
level: medium
known_false_positives:
  - {zh: 两项分属互不相关的两次治疗, en: two separate treatments to which the items belong}
  - {zh: 本省价格政策允许另收, en: a province whose prices allow both}
explanation:
  zh: "参保人在 {institution_id} 计费主项 {main_code}，其内涵已含 {sub_code}（限定范围：{within_zh}），后者又另计 {lines} 条、{amount} 元。"
  en: "Item {main_code}, billed for the person at {institution_id}, already includes {sub_code} ({within_en}); the latter was billed again on {lines} line(s), {amount} yuan."
examples:
  - title: {zh: 血液灌流同日另计血液透析, en: haemoperfusion and haemodialysis on one day}
    tables:
      claim_lines:
        - {line_id: L1, item_code: "003110000100000", service_time: "2026-03-04 10:00", amount: 700}
        - {line_id: L2, item_code: "003110000060000", service_time: "2026-03-04 11:00", amount: 400}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L2], amount: 400}
    neighbour:
      title: {zh: 隔日, en: on the next day}
      tables:
        claim_lines:
          - {line_id: L1, item_code: "003110000100000", service_time: "2026-03-04 10:00", amount: 700}
          - {line_id: L2, item_code: "003110000060000", service_time: "2026-03-05 11:00", amount: 400}
  - title: {zh: 六小时内, en: within six hours}
    tables:
      claim_lines:
        - {line_id: L1, item_code: EXAMPLE-WHOLE, service_time: "2026-03-04 21:00", amount: 300}
        - {line_id: L2, item_code: EXAMPLE-STEP, service_time: "2026-03-05 01:00", amount: 40}
    flags: [{line_ids: [L2], amount: 40}]
    neighbour:
      title: {zh: 超过六小时, en: more than six hours apart}
      tables:
        claim_lines:
          - {line_id: L1, item_code: EXAMPLE-WHOLE, service_time: "2026-03-04 21:00", amount: 300}
          - {line_id: L2, item_code: EXAMPLE-STEP, service_time: "2026-03-05 04:00", amount: 40}
  - title: {zh: 同一次就诊, en: within one visit}
    tables:
      claim_lines:
        - {line_id: L1, visit_id: V1, item_code: EXAMPLE-WHOLE, service_time: "2026-03-04 10:00", amount: 300}
        - {line_id: L2, visit_id: V1, item_code: EXAMPLE-PART, service_time: "2026-03-06 11:00", amount: 50}
    flags: [{line_ids: [L2], amount: 50}]
    neighbour:
      title: {zh: 两次就诊, en: in two visits}
      tables:
        claim_lines:
          - {line_id: L1, visit_id: V1, item_code: EXAMPLE-WHOLE, service_time: "2026-03-04 10:00", amount: 300}
          - {line_id: L2, visit_id: V2, item_code: EXAMPLE-PART, service_time: "2026-03-06 11:00", amount: 50}
*/
WITH subs AS (
  SELECT l.*, k.main_code, k.within, k.hours, k.point, k.point_version
  FROM billed_lines l
  JOIN known_pairs k
    ON l.item_code = k.sub_code AND l.service_day BETWEEN k.valid_from AND k.valid_to
  WHERE l.service_day BETWEEN $from_day AND $to_day AND (l.quantity > 0 OR l.amount > 0)
),
mains AS (
  SELECT l.line, l.institution_id, l.person_id, l.visit_id, l.item_code, l.service_day, l.service_time
  FROM billed_lines l
  SEMI JOIN known_pairs k ON l.item_code = k.main_code
  WHERE l.quantity > 0 OR l.amount > 0
),
doubled AS (
  SELECT DISTINCT s.line, s.line_id, s.institution_id, s.person_id, s.service_time, s.amount, s.item_code, s.main_code, s.within, s.hours, s.point, s.point_version
  FROM subs s
  JOIN mains m
    ON s.institution_id = m.institution_id
    AND s.person_id = m.person_id
    AND s.main_code = m.item_code
    AND s.line <> m.line
    AND (
      (s.within = 'day' AND s.service_day = m.service_day)
      OR (s.within = 'visit' AND s.visit_id = m.visit_id)
      OR (s.within = 'hour' AND s.service_time // 3600000000 = m.service_time // 3600000000)
      OR (s.within = 'hours' AND abs(s.service_time - m.service_time) < s.hours * 3600000000)
    )
)
SELECT
  institution_id,
  person_id,
  array_agg(line_id) AS line_ids,
  sum(amount) AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  main_code,
  item_code AS sub_code,
  CASE
    WHEN within = 'day' THEN '同日'
    WHEN within = 'visit' THEN '同一次就诊'
    WHEN within = 'hour' THEN '同一小时'
    ELSE CAST(hours AS VARCHAR) || ' 小时内'
  END AS within_zh,
  CASE
    WHEN within = 'day' THEN 'on one day'
    WHEN within = 'visit' THEN 'within one visit'
    WHEN within = 'hour' THEN 'within the same hour'
    ELSE 'within ' || CAST(hours AS VARCHAR) || ' hours'
  END AS within_en,
  count(*) AS lines,
  point,
  point_version
FROM doubled
GROUP BY institution_id, person_id, main_code, item_code, within, hours, point, point_version
