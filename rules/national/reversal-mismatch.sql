/*
id: reversal-mismatch
version: "1.0"
title: {zh: 冲销后数量与金额不符, en: Quantity and amount disagree after reversals}
status: stable
basis: [国务院令第735号 第四十条（伪造、变造会计凭证和电子信息） / State Council Decree 735 art 40]
stage: after
level: low
parameters:
  rounding_yuan:
    unit: yuan
    meaning: {zh: 舍入误差, en: "a difference that rounding explains"}
    values:
      - {from: 2020-01-01, value: 0.05, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 单价调整，只冲差价, en: a price that was corrected by taking back the difference only}
  - {zh: 减免优惠, en: a discount}
explanation:
  zh: "费用 {line_id} 冲销后数量为 {net_quantity}、金额为 {net_yuan} 元：{which_zh}"
  en: "After its reversals, line {line_id} has quantity {net_quantity} and amount {net_yuan} yuan: {which_en}"
examples:
  - title: {zh: 数量冲完，金额只冲一半, en: the whole quantity and half of the amount taken back}
    tables:
      claim_lines:
        - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
        - {line_id: R1, item_code: HD, service_time: "2026-03-05 10:00", quantity: -1, amount: -200, reverses_line_id: L1}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1], amount: 200}
    neighbour:
      title: {zh: 数量与金额均冲完, en: both taken back wholly}
      tables:
        claim_lines:
          - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
          - {line_id: R1, item_code: HD, service_time: "2026-03-05 10:00", quantity: -1, amount: -400, reverses_line_id: L1}
  - title: {zh: 金额冲完，数量还在, en: the whole amount taken back and the quantity left}
    tables:
      claim_lines:
        - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", quantity: 2, amount: 800}
        - {line_id: R1, item_code: HD, service_time: "2026-03-05 10:00", quantity: -1, amount: -800, reverses_line_id: L1}
    flags: [{line_ids: [L1], amount: 0}]
    neighbour:
      title: {zh: 按比例部分冲销, en: a part of both taken back}
      tables:
        claim_lines:
          - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", quantity: 2, amount: 800}
          - {line_id: R1, item_code: HD, service_time: "2026-03-05 10:00", quantity: -1, amount: -400, reverses_line_id: L1}
*/
WITH net AS (
  SELECT
    c.line_id,
    c.institution_id,
    c.person_id,
    c.service_time,
    c.quantity + r.quantity AS net_quantity,
    c.amount + r.amount AS net_yuan
  FROM claim_lines c
  JOIN reversals r ON c.line = r.line
  WHERE c.service_time_day BETWEEN $from_day AND $to_day
)
SELECT
  institution_id,
  person_id,
  [line_id] AS line_ids,
  greatest(0, net_yuan) AS amount,
  service_time AS from_at,
  service_time AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  line_id,
  net_quantity,
  net_yuan,
  CASE
    WHEN net_quantity <= 0 AND net_yuan > 0 THEN '数量已全部冲销，金额仍在支付。'
    WHEN net_yuan < 0 THEN '冲销金额超过原费用。'
    ELSE '金额已全部冲销，数量仍在。'
  END AS which_zh,
  CASE
    WHEN net_quantity <= 0 AND net_yuan > 0 THEN 'nothing is left of the quantity, and money is still paid.'
    WHEN net_yuan < 0 THEN 'more was taken back than was billed.'
    ELSE 'nothing is left of the amount, and a quantity remains.'
  END AS which_en
FROM net
WHERE (net_quantity <= 0 AND abs(net_yuan) > $rounding_yuan)
  OR (net_quantity > 0 AND net_yuan <= $rounding_yuan)
