/*
id: medicine-self-paid-then-fund
version: "1.0"
title: {zh: 自费售出的药品又由基金结算, en: "A box sold for cash and settled with the fund again"}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  resettled_days:
    unit: days
    meaning: {zh: 同一人在同一机构由自费改为医保结算的期限, en: "in which one person at one institution may have a purchase settled again"}
    values:
      - {from: 2020-01-01, value: 7, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 参保人事后补结算, en: a purchase settled again later because the card was not at hand}
explanation:
  zh: "追溯码 {code} 的药品先自费售出，后又由基金结算，共 {times} 次。"
  en: "The box with traceability code {code} was sold for cash first and settled with the fund later, {times} sales in all."
examples:
  - title: {zh: 自费售出后在别处由基金结算, en: "sold for cash and settled elsewhere"}
    tables:
      drug_sales:
        - {sale_id: S1, paid_by: self, sold_at: "2026-03-04 10:00"}
        - {sale_id: S2, institution_id: H2, person_id: P2, sold_at: "2026-03-09 10:00"}
    flags: [{institution_id: H2}]
    neighbour:
      title: {zh: 同一人两天后补结算, en: "the same person has it settled two days later"}
      tables:
        drug_sales:
          - {sale_id: S1, person_id: P1, paid_by: self, sold_at: "2026-03-04 10:00"}
          - {sale_id: S2, person_id: P1, sold_at: "2026-03-06 10:00"}
*/
WITH pairs AS (
  SELECT *
  FROM medicine_pairs
  WHERE first_paid_by = 'self'
    AND paid_by = 'fund'
    AND NOT (
      first_institution_id = institution_id
      AND coalesce(first_person_id = person_id, TRUE)
      AND sold_at_day <= first_day + $resettled_days
    )
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
