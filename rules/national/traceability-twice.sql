/*
id: traceability-twice
version: "2.0"
title: {zh: 同一追溯码重复结算, en: "The same traceability code settled twice"}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: high
known_false_positives:
  - {zh: 套装共用一个追溯码, en: gift packs that share one code}
  - {zh: 退药后未记录退货即再次售出, en: a box returned and sold again without a record of the return}
explanation:
  zh: "追溯码 {code} 的整盒药品售出 {times} 次，其间没有退货记录。"
  en: "The box with traceability code {code} was sold whole {times} times without a return in between."
examples:
  - title: {zh: 两家机构各结算一次, en: "settled at two institutions"}
    tables:
      claim_lines:
        - {line_id: L1, item_code: DRUG, traceability_code: T1, service_time: "2026-03-04 10:00", amount: 30}
        - {line_id: L2, institution_id: H2, person_id: P2, item_code: DRUG, traceability_code: T1, service_time: "2026-03-06 10:00", amount: 30}
    flags:
      - {institution_id: H2, line_ids: [L1, L2], amount: 60}
    neighbour:
      title: {zh: 第一次已冲销, en: "the first was taken back"}
      tables:
        claim_lines:
          - {line_id: L1, item_code: DRUG, traceability_code: T1, service_time: "2026-03-04 10:00", amount: 30}
          - {line_id: R1, item_code: DRUG, traceability_code: T1, service_time: "2026-03-05 10:00", quantity: -1, amount: -30, reverses_line_id: L1}
          - {line_id: L2, institution_id: H2, person_id: P2, item_code: DRUG, traceability_code: T1, service_time: "2026-03-06 10:00", amount: 30}
  - title: {zh: 同一药店整盒两次售给不同的人, en: "one shop sells the whole box to two persons"}
    tables:
      drug_sales:
        - {sale_id: S1, person_id: P1, sold_at: "2026-03-04 10:00"}
        - {sale_id: S2, person_id: P2, sold_at: "2026-03-09 10:00"}
    flags: [{institution_id: H1, line_ids: [], amount: 0}]
    neighbour:
      title: {zh: 拆零销售同一包装, en: "one pack dispensed in parts"}
      tables:
        drug_sales:
          - {sale_id: S1, person_id: P1, split: true, sold_at: "2026-03-04 10:00"}
          - {sale_id: S2, person_id: P2, split: true, sold_at: "2026-03-09 10:00"}
  - title: {zh: 退货记录之前已再次售出, en: "sold three times with one return"}
    tables:
      drug_sales:
        - {sale_id: S1, person_id: P1, sold_at: "2026-03-04 10:00"}
        - {sale_id: S2, person_id: P2, sold_at: "2026-03-09 10:00"}
        - {sale_id: R2, kind: return, sold_at: "2026-03-10 10:00"}
        - {sale_id: S3, person_id: P3, sold_at: "2026-03-11 10:00"}
    flags: [{institution_id: H1}]
    neighbour:
      title: {zh: 未拆封退货后在同一药店再售, en: "returned unopened and sold again in the same shop"}
      tables:
        drug_sales:
          - {sale_id: S1, person_id: P1, sold_at: "2026-03-04 10:00"}
          - {sale_id: R1, kind: return, sold_at: "2026-03-05 10:00"}
          - {sale_id: S2, person_id: P2, sold_at: "2026-03-09 10:00"}
  - title: {zh: 登记退货但结算未撤销, en: "a return is told and the settlement stays"}
    tables:
      claim_lines:
        - {line_id: L1, item_code: DRUG, service_time: "2026-03-04 10:00", amount: 30}
      drug_sales:
        - {sale_id: S1, line_id: L1, person_id: P1, sold_at: "2026-03-04 10:00"}
        - {sale_id: R1, kind: return, sold_at: "2026-03-05 10:00"}
        - {sale_id: S2, person_id: P2, sold_at: "2026-03-09 10:00"}
    flags: [{institution_id: H1, line_ids: [L1], amount: 30}]
    neighbour:
      title: {zh: 重复上传与撤销结算后重新结算, en: "an upload repeated and a settlement cancelled and made again"}
      tables:
        drug_sales:
          - {sale_id: S1, settlement_id: J1, person_id: P1, sold_at: "2026-03-04 10:00"}
          - {sale_id: U1, person_id: P1, sold_at: "2026-03-04 10:01"}
          - {sale_id: J1, kind: return, settlement_id: J1, code: null, sold_at: "2026-03-04 10:02"}
          - {sale_id: S2, settlement_id: J2, person_id: P1, sold_at: "2026-03-04 10:05"}
*/
WITH pairs AS (
  SELECT *
  FROM medicine_pairs
  WHERE NOT coalesce(first_paid_by = 'self' AND paid_by = 'fund', FALSE)
),
lines AS (
  SELECT DISTINCT code, line, line_id, amount FROM pairs WHERE line IS NOT NULL
  UNION
  SELECT DISTINCT code, first_line, first_line_id, first_amount FROM pairs WHERE first_line IS NOT NULL
),
billed AS (
  SELECT code, array_agg(line_id) AS line_ids, sum(amount) AS amount FROM lines GROUP BY code
),
sales AS (
  SELECT code, institution_id || '@' || sale_id AS sale FROM pairs
  UNION
  SELECT code, first_institution_id || '@' || first_sale_id FROM pairs
),
evidence AS (
  SELECT code, array_agg(sale) AS sales, count(*) AS times FROM sales GROUP BY code
)
SELECT
  max(p.institution_id) AS institution_id,
  CASE WHEN count(DISTINCT p.person_id) = 1 THEN max(p.person_id) END AS person_id,
  coalesce(max(b.line_ids), CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(max(b.amount), 0) AS amount,
  min(p.first_at) AS from_at,
  max(p.sold_at) AS to_at,
  max(e.sales) AS evidence,
  p.code,
  max(e.times) AS times
FROM pairs p
JOIN evidence e ON p.code = e.code
LEFT JOIN billed b ON p.code = b.code
GROUP BY p.code
