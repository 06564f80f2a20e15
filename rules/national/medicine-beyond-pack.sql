/*
id: medicine-beyond-pack
version: "1.0"
title: {zh: 拆零数量超过包装, en: "More sold in parts than the pack holds"}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  allowed_percent:
    unit: percent
    meaning: {zh: 超出包装数量的容许比例, en: "by which a pack may be exceeded"}
    values:
      - {from: 2020-01-01, value: 10, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 包装数量登记有误, en: "a wrong size of the pack"}
  - {zh: 按不同单位上传数量, en: "units of different kinds in one code's sales"}
explanation:
  zh: "追溯码 {code} 的一个包装有 {pack_units} 个最小单位，拆零共售出 {units} 个。"
  en: "The pack with traceability code {code} holds {pack_units} units; {units} were sold in parts."
examples:
  - title: {zh: 24 片的包装售出 36 片, en: "36 tablets of a pack of 24"}
    tables:
      drug_stock:
        - {pack_units: 24, recorded_at: "2026-03-01 09:00"}
      drug_sales:
        - {repeat: 3, every_minutes: 1440, sale_id: "S{n}", person_id: "P{n}", split: true, units: 12, sold_at: "2026-03-04 10:00"}
    flags: [{institution_id: H1}]
    neighbour:
      title: {zh: 24 片分两次售出，其中一次重复上传, en: "24 tablets in two parts, one of them uploaded twice"}
      tables:
        drug_stock:
          - {pack_units: 24, recorded_at: "2026-03-01 09:00"}
        drug_sales:
          - {sale_id: S1, person_id: P1, split: true, units: 12, sold_at: "2026-03-04 10:00"}
          - {sale_id: S2, person_id: P2, split: true, units: 12, sold_at: "2026-03-05 10:00"}
          - {sale_id: S2, person_id: P2, split: true, units: 12, sold_at: "2026-03-05 10:00"}
*/
WITH parts AS (
  SELECT institution_id, code, sale_id, coalesce(person_id, '') AS person, sold_at, max(sold_at_day) AS sold_at_day,
    max(line_id) AS line_id, max(line) AS line, max(amount) AS amount, max(person_id) AS person_id, max(units) AS units
  FROM medicine_sales
  WHERE split AND code IS NOT NULL AND units > 0
  GROUP BY institution_id, code, sale_id, coalesce(person_id, ''), sold_at
),
sizes AS (
  SELECT d.code, min(d.pack_units) AS pack_units
  FROM drug_stock d
  SEMI JOIN parts p ON d.code = p.code
  WHERE d.pack_units > 1
  GROUP BY d.code
  HAVING min(d.pack_units) = max(d.pack_units)
)
SELECT
  p.institution_id,
  CASE WHEN count(DISTINCT p.person_id) = 1 THEN max(p.person_id) END AS person_id,
  coalesce(array_agg(p.line_id) FILTER (WHERE p.line IS NOT NULL), CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(sum(p.amount), 0) AS amount,
  min(p.sold_at) AS from_at,
  max(p.sold_at) AS to_at,
  array_agg(p.institution_id || '@' || p.sale_id) AS evidence,
  p.code,
  max(s.pack_units) AS pack_units,
  sum(p.units) AS units
FROM parts p
JOIN sizes s ON p.code = s.code
GROUP BY p.institution_id, p.code
HAVING sum(p.units) * 100 > max(s.pack_units) * (100 + $allowed_percent)
  AND max(p.sold_at_day) BETWEEN $from_day AND $to_day
