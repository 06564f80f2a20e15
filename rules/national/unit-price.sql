/*
id: unit-price
version: "1.0"
title: {zh: 单价远高于同区同项目, en: A unit price far above that of the region}
status: stable
basis: [国务院令第735号 第三十八条（违反政府定价、重复收费、超标准收费） / State Council Decree 735 art 38]
stage: after
level: medium
parameters:
  most_times:
    unit: times
    meaning: {zh: 超过本区中位单价的倍数, en: "how many times the region's middle price a unit may cost"}
    values:
      - {from: 2020-01-01, value: 2, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_institutions:
    unit: institutions
    meaning: {zh: 同区计费该编码的机构少于此数时不作比较, en: "with fewer institutions that bill the code there is no price of the region"}
    values:
      - {from: 2020-01-01, value: 3, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_lines:
    unit: lines
    meaning: {zh: 起评条数, en: "fewer such lines than this are slips"}
    values:
      - {from: 2020-01-01, value: 3, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 不同级别医院执行不同价格, en: hospitals of different grades with different prices}
  - {zh: 一条合并多次治疗，数量未填, en: several treatments on one line whose quantity was not filled in}
explanation:
  zh: "{institution_id} 编码 {item_code} 有 {lines} 条单价在 {lowest} 元至 {highest} 元之间，超过本统筹区 {institutions} 家机构中位单价 {middle} 元的 {most_times} 倍，多计约 {excess} 元。"
  en: "{lines} line(s) of code {item_code} at {institution_id} cost {lowest} yuan to {highest} yuan a unit, more than {most_times} times the median price of {middle} yuan among {institutions} institutions of the region; the excess is about {excess} yuan."
examples:
  - title: {zh: 四百元的项目按四千元计, en: four thousand for an item of four hundred}
    tables:
      institutions: [{institution_id: H1}, {institution_id: H2}, {institution_id: H3}]
      claim_lines:
        - {repeat: 4, every_minutes: 2880, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00", amount: 4000}
        - {repeat: 4, every_minutes: 2880, institution_id: H2, line_id: "M{n}", person_id: P2, item_code: HD, service_time: "2026-03-02 10:00", amount: 400}
        - {repeat: 4, every_minutes: 2880, institution_id: H3, line_id: "N{n}", person_id: P3, item_code: HD, service_time: "2026-03-02 10:00", amount: 410}
    flags:
      - {institution_id: H1, line_ids: [L0, L1, L2, L3], amount: 14360}
    neighbour:
      title: {zh: 一条十次, en: ten treatments on one line}
      tables:
        claim_lines:
          - {repeat: 4, every_minutes: 2880, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00", quantity: 10, amount: 4000}
          - {repeat: 4, every_minutes: 2880, institution_id: H2, line_id: "M{n}", person_id: P2, item_code: HD, service_time: "2026-03-02 10:00", amount: 400}
          - {repeat: 4, every_minutes: 2880, institution_id: H3, line_id: "N{n}", person_id: P3, item_code: HD, service_time: "2026-03-02 10:00", amount: 410}
*/
WITH priced AS (
  SELECT
    l.line,
    l.line_id,
    l.institution_id,
    l.item_code,
    l.service_time,
    l.quantity,
    l.amount,
    coalesce(i.region_code, l.institution_id) AS region,
    CAST(l.amount AS DOUBLE) / CAST(l.quantity AS DOUBLE) AS price
  FROM billed_lines l
  SEMI JOIN scope_lines s ON l.line = s.line
  LEFT JOIN institutions i ON l.institution_id = i.institution_id
  WHERE l.quantity > 0 AND l.service_day BETWEEN $from_day AND $to_day
),
own_ranked AS (
  SELECT
    region,
    institution_id,
    item_code,
    price,
    row_number() OVER (PARTITION BY institution_id, item_code ORDER BY price, line) AS place,
    count(*) OVER (PARTITION BY institution_id, item_code) AS lines
  FROM priced
),
own AS (
  SELECT region, institution_id, item_code, price FROM own_ranked WHERE place = (lines + 1) // 2
),
region_ranked AS (
  SELECT
    region,
    item_code,
    price,
    row_number() OVER (PARTITION BY region, item_code ORDER BY price, institution_id) AS place,
    count(*) OVER (PARTITION BY region, item_code) AS institutions
  FROM own
),
usual AS (
  SELECT region, item_code, price AS middle, institutions
  FROM region_ranked
  WHERE place = (institutions + 1) // 2 AND institutions >= $fewest_institutions
),
dear AS (
  SELECT
    p.*,
    u.middle,
    u.institutions,
    CAST(p.amount AS DOUBLE) - u.middle * CAST(p.quantity AS DOUBLE) AS excess
  FROM priced p
  JOIN usual u ON p.region = u.region AND p.item_code = u.item_code
  WHERE p.price > u.middle * CAST($most_times AS DOUBLE)
)
SELECT
  institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  array_agg(line_id) AS line_ids,
  CAST(sum(amount) - CAST(max(middle) AS DECIMAL(16, 2)) * sum(quantity) AS DECIMAL(16, 2)) AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  item_code,
  count(*) AS lines,
  min(price) AS lowest,
  max(price) AS highest,
  max(middle) AS middle,
  max(institutions) AS institutions,
  $most_times AS most_times,
  CAST(sum(amount) - CAST(max(middle) AS DECIMAL(16, 2)) * sum(quantity) AS DECIMAL(16, 2)) AS excess
FROM dear
GROUP BY institution_id, item_code
HAVING count(*) >= $fewest_lines
