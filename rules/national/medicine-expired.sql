/*
id: medicine-expired
version: "1.0"
title: {zh: 售出过期药品, en: "A medicine sold after it expired"}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: high
known_false_positives:
  - {zh: 有效期录入错误, en: "an expiry entered wrongly"}
explanation:
  zh: "追溯码 {code} 的药品已于有效期 {days_over} 天后售出。"
  en: "The medicine with traceability code {code} was sold {days_over} day(s) after it had expired."
examples:
  - title: {zh: 过期三十一天, en: "a month after it expired"}
    tables:
      drug_sales:
        - {sale_id: S1, expires_on: 2026-02-01, sold_at: "2026-03-04 10:00"}
    flags: [{institution_id: H1}]
    neighbour:
      title: {zh: 有效期最后一天, en: "its last day"}
      tables:
        drug_sales:
          - {sale_id: S1, expires_on: 2026-03-04, sold_at: "2026-03-04 10:00"}
*/
WITH doubtful AS (
  SELECT *
  FROM medicine_sales
  WHERE sold_at_day BETWEEN $from_day AND $to_day AND (expires_on IS NULL OR sold_at_day > expires_on)
),
stated AS (
  SELECT d.code, max(d.expires_on) AS expires_on
  FROM drug_stock d
  SEMI JOIN doubtful m ON d.code = m.code
  GROUP BY d.code
),
-- of two dates for one box the later one counts
dated AS (
  SELECT m.*, greatest(coalesce(m.expires_on, s.expires_on), coalesce(s.expires_on, m.expires_on)) AS last_day
  FROM doubtful m
  LEFT JOIN stated s ON m.code = s.code
)
SELECT
  institution_id,
  person_id,
  CASE WHEN line IS NULL THEN CAST([] AS VARCHAR[]) ELSE [line_id] END AS line_ids,
  coalesce(amount, 0) AS amount,
  sold_at AS from_at,
  sold_at AS to_at,
  [institution_id || '@' || sale_id] AS evidence,
  coalesce(code, batch, item_code) AS code,
  sold_at_day - last_day AS days_over
FROM dated
WHERE sold_at_day > last_day
