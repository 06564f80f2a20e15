/*
id: medicine-other-product
version: "1.0"
title: {zh: 追溯码与所结算药品不符, en: "A code of another product than the one billed"}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  fewest_sightings:
    unit: boxes
    meaning: {zh: 确认产品标识与药品对应关系所需的采购记录数, en: "purchases that must name a product's drug before it is believed"}
    values:
      - {from: 2020-01-01, value: 20, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  agreeing_percent:
    unit: percent
    meaning: {zh: 采购记录中一致的比例, en: "of the purchases that must agree"}
    values:
      - {from: 2020-01-01, value: 98, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 产品更名或编码更新, en: "a product whose national code changed"}
  - {zh: 采购记录编码填错, en: "purchases entered under a wrong code"}
explanation:
  zh: "产品标识 {product_code} 按 {sightings} 条采购记录为 {expected_item}，结算的却是 {billed_item}。"
  en: "Product {product_code} is {expected_item} by {sightings} purchases; {billed_item} was billed."
examples:
  - title: {zh: 保健品的追溯码按药品结算, en: "one product's box billed as another"}
    tables:
      drug_stock:
        - {repeat: 20, every_minutes: 10, code: "B{n}", product_code: "8100001", item_code: DRUG, recorded_at: "2026-02-01 09:00"}
      drug_sales:
        - {sale_id: S1, code: B1, product_code: "8100001", item_code: DEAR, sold_at: "2026-03-04 10:00"}
    flags: [{institution_id: H1}]
    neighbour:
      title: {zh: 采购记录太少，无从判断, en: "too few purchases to tell"}
      tables:
        drug_stock:
          - {repeat: 19, every_minutes: 10, code: "B{n}", product_code: "8100001", item_code: DRUG, recorded_at: "2026-02-01 09:00"}
        drug_sales:
          - {sale_id: S1, code: B1, product_code: "8100001", item_code: DEAR, sold_at: "2026-03-04 10:00"}
*/
WITH seen AS (
  SELECT product_code, item_code, count(*) AS n
  FROM drug_stock
  WHERE kind = 'purchase' AND product_code IS NOT NULL AND item_code IS NOT NULL
  GROUP BY product_code, item_code
),
totals AS (
  SELECT product_code, sum(n) AS total FROM seen GROUP BY product_code
),
products AS (
  SELECT s.product_code, s.item_code, s.n
  FROM seen s
  JOIN totals t ON s.product_code = t.product_code
  WHERE s.n >= $fewest_sightings AND s.n * 100 >= t.total * $agreeing_percent
),
-- a sale may not say what its code's product is, where the purchase of the same box does
boxes AS (
  SELECT d.code, max(d.product_code) AS product_code
  FROM drug_stock d
  SEMI JOIN medicine_sales m ON d.code = m.code AND m.product_code IS NULL
  WHERE d.product_code IS NOT NULL
  GROUP BY d.code
),
sold AS (
  SELECT m.*, coalesce(m.product_code, b.product_code) AS product
  FROM medicine_sales m
  LEFT JOIN boxes b ON m.code = b.code
  WHERE m.sold_at_day BETWEEN $from_day AND $to_day AND m.item_code IS NOT NULL
)
SELECT
  s.institution_id,
  CASE WHEN count(DISTINCT s.person_id) = 1 THEN max(s.person_id) END AS person_id,
  coalesce(array_agg(s.line_id) FILTER (WHERE s.line IS NOT NULL), CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(sum(s.amount), 0) AS amount,
  min(s.sold_at) AS from_at,
  max(s.sold_at) AS to_at,
  array_agg(s.institution_id || '@' || s.sale_id) AS evidence,
  p.product_code,
  p.item_code AS expected_item,
  s.item_code AS billed_item,
  max(p.n) AS sightings
FROM sold s
JOIN products p ON s.product = p.product_code AND s.item_code <> p.item_code
GROUP BY s.institution_id, p.product_code, p.item_code, s.item_code
