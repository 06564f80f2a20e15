/*
id: medicine-sold-before-bought
version: "1.0"
title: {zh: 售出早于采购或由非购入机构售出, en: "Sold before it was bought, or by another than its buyer"}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: medium
parameters:
  grace_days:
    unit: days
    meaning: {zh: 采购入库补记的宽限, en: "a purchase may be entered late"}
    values:
      - {from: 2020-01-01, value: 7, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 入库记录补录较晚, en: "a purchase entered very late"}
  - {zh: 连锁门店间调拨, en: "stock moved between shops of one chain"}
explanation:
  zh: "追溯码 {code} 于 {buyer} 入库，却在此之前或在其他机构售出。"
  en: "The box with traceability code {code} came in at {buyer}; it was sold before that or at another institution."
examples:
  - title: {zh: 售出一个月后才采购, en: "bought a month after it was sold"}
    tables:
      drug_stock:
        - {recorded_at: "2026-04-10 09:00"}
      drug_sales:
        - {sale_id: S1, sold_at: "2026-03-04 10:00"}
    flags: [{institution_id: H1}]
    neighbour:
      title: {zh: 入库晚记三天, en: "entered three days late"}
      tables:
        drug_stock:
          - {recorded_at: "2026-03-07 09:00"}
        drug_sales:
          - {sale_id: S1, sold_at: "2026-03-04 10:00"}
  - title: {zh: 由非购入机构售出, en: "sold by another than its buyer"}
    tables:
      drug_stock:
        - {recorded_at: "2026-03-01 09:00"}
      drug_sales:
        - {sale_id: S1, institution_id: H2, sold_at: "2026-03-04 10:00"}
    flags: [{institution_id: H2}]
    neighbour:
      title: {zh: 退回供应商后由另一机构购入, en: "sent back to the supplier and bought by the other"}
      tables:
        drug_stock:
          - {recorded_at: "2026-03-01 09:00"}
          - {institution_id: H2, recorded_at: "2026-03-03 09:00"}
        drug_sales:
          - {sale_id: S1, institution_id: H2, sold_at: "2026-03-04 10:00"}
*/
WITH came AS (
  SELECT code, institution_id, recorded_at_day
  FROM drug_stock
  WHERE code IS NOT NULL AND kind IN ('purchase', 'count', 'change')
),
unbought AS (
  SELECT m.*
  FROM medicine_sales m
  ANTI JOIN came c
    ON m.code = c.code AND m.institution_id = c.institution_id AND c.recorded_at_day <= m.sold_at_day + $grace_days
  WHERE m.code IS NOT NULL AND m.sold_at_day BETWEEN $from_day AND $to_day
),
buyers AS (
  SELECT c.code, min(c.institution_id) AS buyer
  FROM came c
  SEMI JOIN unbought u ON c.code = u.code
  GROUP BY c.code
),
wrong AS (
  SELECT u.*, k.buyer FROM unbought u JOIN buyers k ON u.code = k.code
)
SELECT
  institution_id,
  CASE WHEN count(DISTINCT person_id) = 1 THEN max(person_id) END AS person_id,
  coalesce(array_agg(line_id) FILTER (WHERE line IS NOT NULL), CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(sum(amount), 0) AS amount,
  min(sold_at) AS from_at,
  max(sold_at) AS to_at,
  array_agg(institution_id || '@' || sale_id) AS evidence,
  code,
  max(buyer) AS buyer
FROM wrong
GROUP BY institution_id, code
