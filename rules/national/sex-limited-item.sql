/*
id: sex-limited-item
version: "1.2"
title: {zh: 限定性别项目, en: Item limited to the other sex}
status: stable
basis: ["国家医保“两库”限性别类知识点 / national knowledge base: sex-limited items"]
stage: before
level: high
verdict: contradicted
known_false_positives:
  - {zh: 参保登记性别有误, en: a sex that was registered wrongly}
  - {zh: 新生儿费用记在母亲名下, en: "a newborn's items billed under the mother"}
explanation:
  zh: "项目 {item_code} 限{sex_limit}性，参保人登记性别为{sex}。"
  en: "Item {item_code} is limited to {sex_limit} patients; the person is registered as {sex}."
examples:
  - title: {zh: 男性计产前检查, en: prenatal care for a man}
    tables:
      persons: [{person_id: P1, sex: M}]
      item_catalogue: [{item_code: X1, item_class: other, sex_limit: F}]
      claim_lines: [{line_id: L1, item_code: X1, service_time: "2026-03-04 10:00", amount: 80}]
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1], amount: 80}
    neighbour:
      title: {zh: 女性, en: for a woman}
      tables:
        persons: [{person_id: P1, sex: F}]
  - title: {zh: 知识表中的编码, en: a code that only the knowledge table limits}
    tables:
      persons: [{person_id: P1, sex: M}]
      claim_lines: [{line_id: L1, item_code: EXAMPLE-PRENATAL, service_time: "2026-03-04 10:00", amount: 80}]
    flags: [{line_ids: [L1]}]
    neighbour:
      title: {zh: 性别未知不判断, en: "unknown sex, nothing is concluded"}
      tables:
        persons: [{person_id: P1, sex: U}]
*/
WITH limits AS (
  SELECT
    item_code,
    first_day,
    last_day,
    max(sex_limit) AS sex_limit,
    max(point) AS point,
    max(point_version) AS point_version
  FROM (
    SELECT
      item_code,
      sex_limit,
      coalesce(valid_from, -100000) AS first_day,
      coalesce(valid_to, 4000000) AS last_day,
      CAST(NULL AS VARCHAR) AS point,
      CAST(NULL AS VARCHAR) AS point_version
    FROM item_catalogue
    WHERE sex_limit IN ('M', 'F')
    UNION ALL
    SELECT k.item_code, k.sex_limit, k.valid_from AS first_day, k.valid_to AS last_day, k.point, k.point_version
    FROM known_item_limits k
    ANTI JOIN item_catalogue c ON k.item_code = c.item_code AND c.sex_limit IN ('M', 'F')
    WHERE k.sex_limit IN ('M', 'F')
  ) both_sources
  GROUP BY item_code, first_day, last_day
)
SELECT
  l.institution_id,
  l.person_id,
  [l.line_id] AS line_ids,
  l.amount,
  l.service_time AS from_at,
  l.service_time AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  l.item_code,
  x.sex_limit,
  p.sex,
  x.point,
  x.point_version
FROM billed_lines l
JOIN limits x ON l.item_code = x.item_code AND l.service_day BETWEEN x.first_day AND x.last_day
JOIN persons p ON l.person_id = p.person_id
WHERE p.sex IN ('M', 'F') AND p.sex <> x.sex_limit AND (l.quantity > 0 OR l.amount > 0) AND l.service_day BETWEEN $from_day AND $to_day
