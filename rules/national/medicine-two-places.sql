/*
id: medicine-two-places
version: "1.0"
title: {zh: 同一包装在两家机构拆零售出, en: "One pack dispensed in parts at two institutions"}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: high
known_false_positives:
  - {zh: 连锁门店间调拨已拆包装, en: "an opened pack moved between shops of one chain"}
  - {zh: 机构合并或更换代码, en: "an institution that changed its code"}
explanation:
  zh: "追溯码 {code} 的拆零药品在 {places} 家机构售出。"
  en: "The pack with traceability code {code} was dispensed in parts at {places} institutions."
examples:
  - title: {zh: 两家机构都拆零同一包装, en: "both dispense parts of one pack"}
    tables:
      drug_sales:
        - {sale_id: S1, split: true, sold_at: "2026-03-04 10:00"}
        - {sale_id: S2, institution_id: H2, person_id: P2, split: true, sold_at: "2026-03-04 13:00"}
    flags: [{institution_id: H2}]
    neighbour:
      title: {zh: 同一机构拆零, en: "one institution"}
      tables:
        drug_sales:
          - {sale_id: S1, split: true, sold_at: "2026-03-04 10:00"}
          - {sale_id: S2, person_id: P2, split: true, sold_at: "2026-03-04 13:00"}
*/
WITH spread AS (
  SELECT code, count(DISTINCT institution_id) AS places
  FROM medicine_repeats
  GROUP BY code
  HAVING count(DISTINCT institution_id) > 1 AND count(CASE WHEN split THEN 1 END) > 0
)
SELECT
  max(b.institution_id) AS institution_id,
  CASE WHEN count(DISTINCT b.person_id) = 1 THEN max(b.person_id) END AS person_id,
  coalesce(array_agg(b.line_id) FILTER (WHERE b.line IS NOT NULL), CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(sum(b.amount), 0) AS amount,
  min(b.sold_at) AS from_at,
  max(b.sold_at) AS to_at,
  array_agg(b.institution_id || '@' || b.sale_id) AS evidence,
  b.code,
  max(s.places) AS places
FROM medicine_repeats b
JOIN spread s ON b.code = s.code
GROUP BY b.code
HAVING max(b.sold_at_day) BETWEEN $from_day AND $to_day
