/*
id: traceability-twice
version: "1.0"
title: {zh: 同一追溯码重复结算, en: The same traceability code settled twice}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: high
known_false_positives:
  - {zh: 拆零销售同一包装, en: one package dispensed in parts to several people}
explanation:
  zh: "追溯码 {traceability_code} 在 {lines} 条费用中结算。"
  en: "Traceability code {traceability_code} was settled on {lines} lines."
examples:
  - title: {zh: 两家机构各结算一次, en: settled at two institutions}
    tables:
      claim_lines:
        - {line_id: L1, item_code: DRUG, traceability_code: T1, service_time: "2026-03-04 10:00", amount: 30}
        - {line_id: L2, institution_id: H2, person_id: P2, item_code: DRUG, traceability_code: T1, service_time: "2026-03-06 10:00", amount: 30}
    flags:
      - {institution_id: H2, line_ids: [L1, L2], amount: 60}
    neighbour:
      title: {zh: 第一次已冲销, en: the first was taken back}
      tables:
        claim_lines:
          - {line_id: L1, item_code: DRUG, traceability_code: T1, service_time: "2026-03-04 10:00", amount: 30}
          - {line_id: R1, item_code: DRUG, traceability_code: T1, service_time: "2026-03-05 10:00", quantity: -1, amount: -30, reverses_line_id: L1}
          - {line_id: L2, institution_id: H2, person_id: P2, item_code: DRUG, traceability_code: T1, service_time: "2026-03-06 10:00", amount: 30}
*/
SELECT
  max(institution_id) AS institution_id,
  CASE WHEN count(DISTINCT person_id) = 1 THEN max(person_id) END AS person_id,
  array_agg(line_id) AS line_ids,
  sum(amount) AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  traceability_code,
  count(*) AS lines
FROM billed_lines
WHERE traceability_code IS NOT NULL AND service_day BETWEEN $from_day AND $to_day
GROUP BY traceability_code
HAVING count(*) > 1
