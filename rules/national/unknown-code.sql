/*
id: unknown-code
version: "1.1"
title: {zh: 目录外编码疑为透析或床位, en: A code outside of the catalogue that looks like dialysis or a bed}
status: stable
basis: [国务院令第735号 第三十八条（串换诊疗项目） / State Council Decree 735 art 38]
stage: after
level: medium
parameters:
  price_band:
    unit: share
    meaning: {zh: 单价与本统筹区透析中位单价相差不超过此比例, en: "how far a unit price may be from the region's middle price of dialysis to lie where dialysis lies"}
    values:
      - {from: 2020-01-01, value: 0.05, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_lines:
    unit: lines
    meaning: {zh: 仅凭单价判断时的起评条数, en: "by the price alone, fewer lines than this say nothing"}
    values:
      - {from: 2020-01-01, value: 10, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  lines_each:
    unit: lines a person
    meaning: {zh: 仅凭单价判断时每人的平均条数, en: "by the price alone, how often a person must have had it: dialysis comes again and again"}
    values:
      - {from: 2020-01-01, value: 3, reference: "每周三次治疗 / three treatments a week"}
known_false_positives:
  - {zh: 目录更新滞后，新编码尚未收录, en: a new code that the catalogue does not have yet}
  - {zh: 名称含“透析”的耗材（透析器、管路）, en: "a consumable whose name speaks of dialysis, such as a dialyser"}
  - {zh: 单价恰与透析相近的其他治疗, en: another course of treatment that happens to cost as much}
explanation:
  zh: "{institution_id} 以目录中没有的编码 {item_code}（{item_name}）计费 {lines} 条、{persons} 人、{amount} 元，最高单价 {price} 元；{by_name} 条名称含透析、血滤、灌流或床位，{by_price} 条单价与透析相同。目录外编码不进入核对，请先核实其性质并补充目录。"
  en: "{institution_id} billed code {item_code} ({item_name}), which is not in the catalogue, on {lines} line(s) for {persons} person(s), {amount} yuan, at most {price} yuan each; on {by_name} the name mentions dialysis or a bed, on {by_price} the price is that of dialysis. Codes outside of the catalogue are not audited: find out what it is, and add it."
examples:
  - title: {zh: 名称为血液透析的未知编码, en: an unknown code named haemodialysis}
    tables:
      claim_lines:
        - {line_id: L1, item_code: X1, item_name: 血液透析（特需）, service_time: "2026-03-04 10:00", amount: 400}
    flags:
      - {institution_id: H1, line_ids: [L1], amount: 400}
    neighbour:
      title: {zh: 腹膜透析不在核对范围, en: peritoneal dialysis is out of scope}
      tables:
        claim_lines:
          - {line_id: L1, item_code: X1, item_name: 腹膜透析, service_time: "2026-03-04 10:00", amount: 400}
  - title: {zh: 名称中夹空格或附会腹膜透析, en: a blank inside the word or the other word beside it}
    tables:
      claim_lines:
        - {line_id: L1, item_code: X1, item_name: "血液透 析", service_time: "2026-03-04 10:00", amount: 4}
        - {line_id: L2, item_code: X2, item_name: 血液透析（非腹膜透析）, service_time: "2026-03-04 10:00", amount: 4}
        - {line_id: L3, item_code: X3, item_name: HAEMODIALYSIS, service_time: "2026-03-04 10:00", amount: 4}
    flags:
      - {institution_id: H1, line_ids: [L1], amount: 4}
      - {institution_id: H1, line_ids: [L2], amount: 4}
      - {institution_id: H1, line_ids: [L3], amount: 4}
    neighbour:
      title: {zh: 腹膜透析与床旁检查, en: peritoneal dialysis and an examination at the bedside}
      tables:
        claim_lines:
          - {line_id: L1, item_code: X1, item_name: "腹膜透 析", service_time: "2026-03-04 10:00", amount: 4}
          - {line_id: L2, item_code: X2, item_name: 输血过滤器与床旁定位超声, service_time: "2026-03-04 10:00", amount: 4}
          - {line_id: L3, item_code: X3, item_name: PERITONEAL DIALYSIS, service_time: "2026-03-04 10:00", amount: 4}
  - title: {zh: 无名编码，单价与频次如透析, en: "no name, but the price and the rhythm of dialysis"}
    tables:
      claim_lines:
        - {repeat: 12, every_minutes: 2880, line_id: "L{n}", person_id: P1, item_code: X1, item_name: 治疗费, service_time: "2026-03-02 10:00", amount: 400}
        - {repeat: 12, every_minutes: 2880, line_id: "M{n}", person_id: P2, item_code: HD, service_time: "2026-03-02 10:00", amount: 400}
    flags:
      - {institution_id: H1, amount: 4800}
    neighbour:
      title: {zh: 透析当日的药品，单价相近, en: a medicine of that price given with each dialysis}
      tables:
        claim_lines:
          - {repeat: 12, every_minutes: 2880, line_id: "L{n}", person_id: P2, item_code: X1, item_name: 治疗费, service_time: "2026-03-02 10:00", amount: 400}
          - {repeat: 12, every_minutes: 2880, line_id: "M{n}", person_id: P2, item_code: HD, service_time: "2026-03-02 10:00", amount: 400}
*/
WITH unknown AS (
  SELECT
    l.*,
    -- a blank in between hides no word; a name that speaks of the blood as well is not of peritoneal dialysis
    (
      l.item_name LIKE '%透析%'
      OR l.item_name LIKE '%透_析%'
      OR l.item_name LIKE '%血透%'
      OR l.item_name LIKE '%血滤%'
      OR l.item_name LIKE '%血 滤%'
      OR l.item_name LIKE '%血液滤过%'
      OR l.item_name LIKE '%灌流%'
      OR l.item_name LIKE '%灌 流%'
      OR l.item_name LIKE '%血液净化%'
      OR l.item_name LIKE '%床位%'
      OR l.item_name LIKE '%床 位%'
      OR l.item_name LIKE '%ialysis%'
      OR l.item_name LIKE '%IALYSIS%'
    )
    AND NOT (
      (
        l.item_name LIKE '%腹膜透析%'
        OR l.item_name LIKE '%腹膜透_析%'
        OR l.item_name LIKE '%腹透%'
        OR l.item_name LIKE '%eritoneal%'
        OR l.item_name LIKE '%ERITONEAL%'
      )
      AND NOT (l.item_name LIKE '%血%透%' OR l.item_name LIKE '%aemodialysis%' OR l.item_name LIKE '%emodialysis%')
    ) AS by_name
  FROM billed_lines l
  WHERE l.item_class IS NULL AND l.service_day BETWEEN $from_day AND $to_day
),
-- the middle price of dialysis in each region where somebody billed such a code
asked AS (
  SELECT DISTINCT coalesce(i.region_code, u.institution_id) AS region
  FROM unknown u
  LEFT JOIN institutions i ON u.institution_id = i.institution_id
),
prices AS (
  SELECT
    coalesce(i.region_code, d.institution_id) AS region,
    CAST(d.amount AS DOUBLE) / CAST(d.needed AS DOUBLE) AS price,
    row_number() OVER (
      PARTITION BY coalesce(i.region_code, d.institution_id)
      ORDER BY CAST(d.amount AS DOUBLE) / CAST(d.needed AS DOUBLE), d.line
    ) AS place,
    count(*) OVER (PARTITION BY coalesce(i.region_code, d.institution_id)) AS lines
  FROM dialysis_lines d
  LEFT JOIN institutions i ON d.institution_id = i.institution_id
  SEMI JOIN asked r ON coalesce(i.region_code, d.institution_id) = r.region
  WHERE d.in_period AND d.item_class IN ('haemodialysis', 'haemodiafiltration')
),
usual AS (
  SELECT region, price AS usual_price FROM prices WHERE place = (lines + 1) // 2
),
-- whoever had dialysis billed that day needs no other name for it
dialysed AS (
  SELECT DISTINCT person_here, service_day FROM dialysis_lines
),
looked_at AS (
  SELECT
    u.line_id,
    u.institution_id,
    u.person_id,
    u.item_code,
    u.item_name,
    u.service_time,
    u.amount,
    coalesce(u.by_name, false) AS by_name,
    coalesce(
      u.quantity > 0
      AND d.person_here IS NULL
      AND abs(CAST(u.amount AS DOUBLE) / CAST(u.quantity AS DOUBLE) - p.usual_price) <= p.usual_price * CAST($price_band AS DOUBLE),
      false
    ) AS by_price,
    CASE WHEN u.quantity > 0 THEN CAST(u.amount AS DOUBLE) / CAST(u.quantity AS DOUBLE) END AS price
  FROM unknown u
  LEFT JOIN institutions i ON u.institution_id = i.institution_id
  LEFT JOIN usual p ON coalesce(i.region_code, u.institution_id) = p.region
  LEFT JOIN dialysed d
    ON u.person_here = d.person_here AND u.service_day = d.service_day
),
codes AS (
  SELECT
    institution_id,
    item_code,
    count(CASE WHEN by_name THEN 1 END) AS named,
    count(CASE WHEN by_price THEN 1 END) AS priced,
    count(DISTINCT CASE WHEN by_price THEN person_id END) AS priced_persons
  FROM looked_at
  GROUP BY institution_id, item_code
)
SELECT
  l.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  array_agg(l.line_id) AS line_ids,
  sum(l.amount) AS amount,
  min(l.service_time) AS from_at,
  max(l.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  l.item_code,
  max(l.item_name) AS item_name,
  count(*) AS lines,
  count(DISTINCT l.person_id) AS persons,
  max(l.price) AS price,
  c.named AS by_name,
  c.priced AS by_price
FROM looked_at l
JOIN codes c ON l.institution_id = c.institution_id AND l.item_code = c.item_code
WHERE l.by_name
  OR (l.by_price AND c.priced >= $fewest_lines AND c.priced >= c.priced_persons * $lines_each)
GROUP BY l.institution_id, l.item_code, c.named, c.priced
