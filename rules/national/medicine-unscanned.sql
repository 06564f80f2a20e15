/*
id: medicine-unscanned
version: "1.0"
title: {zh: 未采集追溯码的药品比例高, en: "A high share of medicines sold without a code"}
status: stable
basis: [国务院令第735号 第四十条（串换、倒卖药品） / State Council Decree 735 art 40]
stage: after
level: low
parameters:
  fewest_sales:
    unit: sales
    meaning: {zh: 最少销售笔数, en: "sales below which nothing is said"}
    values:
      - {from: 2020-01-01, value: 50, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  allowed_percent:
    unit: percent
    meaning: {zh: 容许的未采集比例, en: "of sales that may lack a code"}
    values:
      - {from: 2020-01-01, value: 20, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 扫码设备故障, en: "a scanner that failed"}
  - {zh: 老库存在无码库中, en: "old stock that has no codes"}
explanation:
  zh: "{institution_id} 的 {sales} 笔药品销售中有 {unscanned} 笔没有追溯码。"
  en: "Of {sales} medicine sales at {institution_id}, {unscanned} have no traceability code."
examples:
  - title: {zh: 一半没有采集, en: "half without"}
    tables:
      drug_sales:
        - {repeat: 30, every_minutes: 5, sale_id: "S{n}", code: "C{n}", sold_at: "2026-03-04 08:00"}
        - {repeat: 30, every_minutes: 5, sale_id: "U{n}", code: null, sold_at: "2026-03-04 08:00"}
    flags: [{institution_id: H1}]
    neighbour:
      title: {zh: 没有采集的都是中药饮片和住院拆零, en: "those without are herbal pieces and inpatients' parts"}
      tables:
        drug_sales:
          - {repeat: 30, every_minutes: 5, sale_id: "S{n}", code: "C{n}", sold_at: "2026-03-04 08:00"}
          - {repeat: 20, every_minutes: 5, sale_id: "U{n}", code: null, item_code: T001700010, sold_at: "2026-03-04 08:00"}
          - {repeat: 10, every_minutes: 5, sale_id: "V{n}", code: null, split: true, sold_at: "2026-03-04 08:00"}
*/
WITH counted AS (
  SELECT institution_id, line_id, line, amount, sold_at, code
  FROM medicine_sales
  WHERE sold_at_day BETWEEN $from_day AND $to_day
    AND (code IS NOT NULL OR (NOT coalesce(split, FALSE) AND coalesce(item_code, '') NOT LIKE 'T%'))
)
SELECT
  institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  coalesce(array_agg(line_id) FILTER (WHERE line IS NOT NULL AND code IS NULL), CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(sum(CASE WHEN code IS NULL THEN amount END), 0) AS amount,
  min(sold_at) AS from_at,
  max(sold_at) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  count(*) AS sales,
  count(CASE WHEN code IS NULL THEN 1 END) AS unscanned
FROM counted
GROUP BY institution_id
HAVING count(*) >= $fewest_sales
  AND count(CASE WHEN code IS NULL THEN 1 END) * 100 > count(*) * $allowed_percent
