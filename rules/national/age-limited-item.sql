/*
id: age-limited-item
version: "1.2"
title: {zh: 限定年龄项目, en: Item limited to another age}
status: stable
basis: ["国家医保“两库”限儿童类知识点 / national knowledge base: age-limited items"]
stage: before
level: medium
verdict: contradicted
known_false_positives:
  - {zh: 出生日期登记有误, en: a birth date that was registered wrongly}
explanation:
  zh: "项目 {item_code} 限 {ages_zh}使用，服务当日参保人约 {age} 岁。"
  en: "Item {item_code} may be billed only for {ages_en}; the person was about {age} on the day of service."
examples:
  - title: {zh: 五十岁计新生儿项目, en: a neonatal item at the age of fifty}
    tables:
      persons: [{person_id: P1, birth_date: 1976-01-01}]
      item_catalogue: [{item_code: X1, item_class: other, max_age_years: 14}]
      claim_lines: [{line_id: L1, item_code: X1, service_time: "2026-03-04 10:00", amount: 80}]
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1], amount: 80}
    neighbour:
      title: {zh: 十岁, en: at the age of ten}
      tables:
        persons: [{person_id: P1, birth_date: 2016-01-01}]
  - title: {zh: 未满起始年龄, en: younger than the item allows}
    tables:
      persons: [{person_id: P1, birth_date: 2020-01-01}]
      item_catalogue: [{item_code: X1, item_class: other, min_age_years: 18}]
      claim_lines: [{line_id: L1, item_code: X1, service_time: "2026-03-04 10:00", amount: 80}]
    flags: [{line_ids: [L1]}]
    neighbour:
      title: {zh: 生日当天, en: on the very birthday}
      tables:
        persons: [{person_id: P1, birth_date: 2008-03-04}]
*/
-- Ages in hundredths of a day against 365.25 days a year, two days short on either side: a birthday accuses nobody.
WITH limits AS (
  SELECT
    item_code,
    first_day,
    last_day,
    max(min_age_years) AS min_age,
    min(max_age_years) AS max_age,
    max(point) AS point,
    max(point_version) AS point_version
  FROM (
    SELECT
      item_code,
      min_age_years,
      max_age_years,
      coalesce(valid_from, -100000) AS first_day,
      coalesce(valid_to, 4000000) AS last_day,
      CAST(NULL AS VARCHAR) AS point,
      CAST(NULL AS VARCHAR) AS point_version
    FROM item_catalogue
    UNION ALL
    SELECT
      k.item_code,
      k.min_age_years,
      k.max_age_years,
      k.valid_from AS first_day,
      k.valid_to AS last_day,
      k.point,
      k.point_version
    FROM known_item_limits k
    ANTI JOIN item_catalogue c
      ON k.item_code = c.item_code AND (c.min_age_years IS NOT NULL OR c.max_age_years IS NOT NULL)
  ) both_sources
  WHERE min_age_years IS NOT NULL OR max_age_years IS NOT NULL
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
  CASE
    WHEN x.min_age IS NULL THEN CAST(x.max_age AS VARCHAR) || ' 岁及以下'
    WHEN x.max_age IS NULL THEN CAST(x.min_age AS VARCHAR) || ' 岁及以上'
    ELSE CAST(x.min_age AS VARCHAR) || '–' || CAST(x.max_age AS VARCHAR) || ' 岁'
  END AS ages_zh,
  CASE
    WHEN x.min_age IS NULL THEN 'people aged ' || CAST(x.max_age AS VARCHAR) || ' or under'
    WHEN x.max_age IS NULL THEN 'people aged ' || CAST(x.min_age AS VARCHAR) || ' or over'
    ELSE 'ages ' || CAST(x.min_age AS VARCHAR) || ' to ' || CAST(x.max_age AS VARCHAR)
  END AS ages_en,
  (l.service_day - p.birth_date) * 100 // 36525 AS age,
  x.point,
  x.point_version
FROM billed_lines l
JOIN limits x ON l.item_code = x.item_code AND l.service_day BETWEEN x.first_day AND x.last_day
JOIN persons p ON l.person_id = p.person_id
WHERE p.birth_date IS NOT NULL
  AND (l.quantity > 0 OR l.amount > 0)
  AND l.service_day BETWEEN $from_day AND $to_day
  AND (
    (l.service_day - p.birth_date) * 100 < x.min_age * 36525 - 200
    OR (l.service_day - p.birth_date) * 100 > (x.max_age + 1) * 36525 + 200
  )
