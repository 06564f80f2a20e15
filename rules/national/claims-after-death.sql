/*
id: claims-after-death
version: "1.0"
title: {zh: 死亡后仍有费用, en: A person alive in claims after death}
status: stable
basis: [国务院令第735号 第四十条（冒名、虚构） / State Council Decree 735 art 40]
stage: after
level: high
verdict: contradicted
known_false_positives:
  - {zh: 死亡日期登记有误, en: a date of death that was registered wrongly}
  - {zh: 费用按出院日集中记账, en: items that were given before and billed after}
explanation:
  zh: "参保人死亡登记之后，{institution_id} 仍有 {lines} 行费用。"
  en: "{institution_id} billed {lines} line(s) for days after the person's registered death."
examples:
  - title: {zh: 死后第二天取药, en: medicine on the day after}
    tables:
      persons: [{person_id: P1, sex: F, death_date: 2026-03-04}]
      claim_lines:
        - {line_id: L1, item_code: DRUG, visit_type: pharmacy, service_time: "2026-03-05 10:00", amount: 30}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1], amount: 30}
    neighbour:
      title: {zh: 死亡当日, en: on the day itself}
      tables:
        claim_lines:
          - {line_id: L1, item_code: DRUG, visit_type: pharmacy, service_time: "2026-03-04 23:30", amount: 30}
*/
WITH dead AS (
  SELECT person_id, death_date FROM persons WHERE death_date IS NOT NULL
)
SELECT
  l.institution_id,
  l.person_id,
  array_agg(l.line_id) AS line_ids,
  sum(l.amount) AS amount,
  min(l.service_time) AS from_at,
  max(l.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  count(*) AS lines
FROM billed_lines l
JOIN dead d ON l.person_id = d.person_id
WHERE l.service_day > d.death_date AND l.service_day BETWEEN $from_day AND $to_day
GROUP BY l.institution_id, l.person_id
