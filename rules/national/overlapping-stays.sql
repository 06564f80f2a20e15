/*
id: overlapping-stays
version: "1.0"
title: {zh: 两院同时住院, en: Overlapping stays at two institutions}
status: stable
basis: [国务院令第735号 第三十八条（分解住院、挂床住院） / State Council Decree 735 art 38]
stage: after
level: high
parameters:
  overlap_allowed_hours:
    unit: hours
    meaning: {zh: 转院时两次住院允许重叠的时间, en: overlap that a transfer with late paperwork may have}
    values:
      - {from: 2020-01-01, value: 12, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 转院当天出院登记晚于新入院, en: a discharge that was recorded long after the transfer}
  - {zh: 漏报出院, en: a discharge that was never reported}
explanation:
  zh: "参保人在 {institution_id} 与 {other_institution_id} 同时住院，重叠约 {overlap_hours} 小时；一个人不能同时住两家医院。"
  en: "The person's stays at {institution_id} and {other_institution_id} overlap by about {overlap_hours} hours; nobody can be in two hospitals at once."
examples:
  - title: {zh: 三天重叠, en: three days of overlap}
    tables:
      claim_lines:
        - {line_id: L1, institution_id: H2, visit_id: V2, item_code: BED, service_time: "2026-03-04 08:00", amount: 50}
      stays:
        - {visit_id: V1, institution_id: H1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-06 10:00"}
        - {visit_id: V2, institution_id: H2, admitted_at: "2026-03-03 09:00", discharged_at: "2026-03-09 10:00"}
    flags:
      - {institution_id: H2, person_id: P1, line_ids: [L1], evidence: [V1, V2], amount: 50}
    neighbour:
      title: {zh: 转院，重叠一小时, en: a transfer with one hour of overlap}
      tables:
        stays:
          - {visit_id: V1, institution_id: H1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-03 10:00"}
          - {visit_id: V2, institution_id: H2, admitted_at: "2026-03-03 09:00", discharged_at: "2026-03-09 10:00"}
  - title: {zh: 一次长住院盖住两次短住院, en: "one long stay over two short ones, not only its neighbour"}
    tables:
      stays:
        - {visit_id: V1, institution_id: H1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-20 10:00"}
        - {visit_id: V2, institution_id: H2, admitted_at: "2026-03-02 09:00", discharged_at: "2026-03-04 10:00"}
        - {visit_id: V3, institution_id: H3, admitted_at: "2026-03-10 09:00", discharged_at: "2026-03-12 10:00"}
    flags:
      - {institution_id: H2, evidence: [V1, V2]}
      - {institution_id: H3, evidence: [V1, V3]}
*/
WITH visits AS (
  SELECT
    institution_id,
    visit_id,
    person_id,
    min(admitted_at) AS admitted_at,
    CASE WHEN count(*) = count(discharged_at) THEN max(discharged_at) END AS discharged_at
  FROM stays
  GROUP BY institution_id, visit_id, person_id
),
ended AS (
  SELECT * FROM visits WHERE discharged_at IS NOT NULL
),
-- a neighbour's end alone would miss a long stay further back: the running maximum sees it
swept AS (
  SELECT
    *,
    max(discharged_at) OVER (
      PARTITION BY person_id ORDER BY admitted_at, discharged_at, institution_id, visit_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS busy_until
  FROM ended
),
late AS (
  SELECT * FROM swept WHERE busy_until - admitted_at > $overlap_allowed_hours * 3600000000
),
pairs AS (
  SELECT
    b.person_id,
    b.institution_id,
    b.visit_id,
    a.institution_id AS other_institution_id,
    a.visit_id AS other_visit_id,
    b.admitted_at AS from_at,
    least(a.discharged_at, b.discharged_at) AS to_at
  FROM late b
  JOIN ended a
    ON a.person_id = b.person_id
    AND a.institution_id <> b.institution_id
    AND (a.admitted_at < b.admitted_at OR (a.admitted_at = b.admitted_at AND a.institution_id < b.institution_id))
    AND least(a.discharged_at, b.discharged_at) - b.admitted_at > $overlap_allowed_hours * 3600000000
  WHERE least(a.discharged_at, b.discharged_at) >= $from_us
    AND b.admitted_at < $until_us
),
billed AS (
  SELECT p.visit_id, p.institution_id, p.other_visit_id, array_agg(l.line_id) AS line_ids, sum(l.amount) AS amount
  FROM pairs p
  JOIN scope_lines l
    ON l.institution_id = p.institution_id
    AND l.visit_id = p.visit_id
    AND l.item_class = 'bed_day'
    AND l.in_period
    AND l.service_time >= p.from_at
    AND l.service_time <= p.to_at
  GROUP BY p.visit_id, p.institution_id, p.other_visit_id
)
SELECT
  p.institution_id,
  p.person_id,
  coalesce(b.line_ids, CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(b.amount, 0) AS amount,
  p.from_at,
  p.to_at,
  [p.visit_id, p.other_visit_id] AS evidence,
  p.other_institution_id,
  (p.to_at - p.from_at) // 3600000000 AS overlap_hours
FROM pairs p
LEFT JOIN billed b
  ON p.visit_id = b.visit_id AND p.institution_id = b.institution_id AND p.other_visit_id = b.other_visit_id
