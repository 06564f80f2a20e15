/*
id: knowledge-condition
version: "1.0"
title: {zh: 项目不符合限定条件, en: "An item beyond its visit, level, diagnosis or companion"}
status: stable
basis: [国务院令第735号 第三十八条（超标准收费、重复收费） / State Council Decree 735 art 38, "国家医保“两库”第四、五批（限就医方式、限医疗机构级别） / national library, batches 4 and 5 (kind of visit, level of institution)"]
stage: before
level: medium
known_false_positives:
  - {zh: 出院带药, en: drugs that an inpatient takes home}
  - {zh: 次要诊断未上传, en: a secondary diagnosis that was not uploaded}
  - {zh: 所依附项目由他处计费, en: a companion that another institution bills}
explanation:
  zh: "参保人在 {institution_id} 计费 {item_code} 共 {lines} 条、{amount} 元，{kind_zh}。"
  en: "{item_code} was billed for the person at {institution_id} on {lines} line(s), {amount} yuan: {kind_en}."
examples:
  - title: {zh: 限住院项目用于门诊, en: an item for inpatients at an outpatient visit}
    tables:
      claim_lines:
        - {line_id: L1, visit_type: outpatient, item_code: EXAMPLE-INPATIENT, service_time: "2026-03-04 10:00", amount: 90}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1], amount: 90}
    neighbour:
      title: {zh: 住院, en: as an inpatient}
      tables:
        claim_lines:
          - {line_id: L1, visit_type: inpatient, item_code: EXAMPLE-INPATIENT, service_time: "2026-03-04 10:00", amount: 90}
  - title: {zh: 一级机构使用限二级以上项目, en: an item for level 2 and above at level 1}
    tables:
      institutions: [{institution_id: H1, level: "1"}]
      claim_lines:
        - {line_id: L1, item_code: EXAMPLE-HIGHER, service_time: "2026-03-04 10:00", amount: 90}
    flags: [{line_ids: [L1], amount: 90}]
    neighbour:
      title: {zh: 机构级别不详, en: an institution whose level is not known}
      tables:
        institutions: [{institution_id: H1, level: "9"}]
  - title: {zh: 无相应诊断, en: without one of its diagnoses}
    tables:
      claim_lines:
        - {line_id: L1, visit_id: V1, item_code: EXAMPLE-RENAL, service_time: "2026-03-04 10:00", amount: 90}
      diagnoses: [{institution_id: H1, visit_id: V1, person_id: P1, diagnosis_code: I10.x00}]
    flags: [{line_ids: [L1], amount: 90}]
    neighbour:
      title: {zh: 另有相应诊断, en: with one of its diagnoses beside}
      tables:
        diagnoses:
          - {institution_id: H1, visit_id: V1, person_id: P1, diagnosis_code: I10.x00}
          - {institution_id: H1, visit_id: V1, person_id: P1, diagnosis_code: n18.001}
  - title: {zh: 所依附项目未计费, en: without the item beside which it stands}
    tables:
      claim_lines:
        - {line_id: L1, item_code: EXAMPLE-BESIDE, service_time: "2026-03-04 10:00", amount: 90}
        - {line_id: L2, item_code: EXAMPLE-STEP, service_time: "2026-03-05 10:00", amount: 40}
    flags: [{line_ids: [L1], amount: 90}]
    neighbour:
      title: {zh: 同日计费, en: billed on the same day}
      tables:
        claim_lines:
          - {line_id: L1, item_code: EXAMPLE-BESIDE, service_time: "2026-03-04 10:00", amount: 90}
          - {line_id: L2, item_code: EXAMPLE-STEP, service_time: "2026-03-04 08:00", amount: 40}
*/
-- What is not known (level, diagnoses) is held against nobody.
WITH conditions AS (
  SELECT item_code, kind, allowed, lowest, valid_from, valid_to, point, point_version, coalesce(point, '') AS point_name
  FROM known_conditions
),
limits AS (
  SELECT DISTINCT item_code, kind, lowest, valid_from, valid_to, point, point_version, point_name
  FROM conditions
),
lines AS (
  SELECT
    l.line,
    l.line_id,
    l.institution_id,
    l.person_id,
    l.visit_id,
    l.visit_type,
    l.item_code,
    l.service_day,
    l.service_time,
    l.amount,
    k.kind,
    k.lowest,
    k.point,
    k.point_version,
    k.point_name
  FROM billed_lines l
  JOIN limits k
    ON l.item_code = k.item_code AND l.service_day BETWEEN k.valid_from AND k.valid_to
  WHERE l.service_day BETWEEN $from_day AND $to_day AND (l.quantity > 0 OR l.amount > 0)
),
levels AS (
  SELECT
    institution_id,
    CASE WHEN level LIKE '1%' THEN 1 WHEN level LIKE '2%' THEN 2 WHEN level LIKE '3%' THEN 3 END AS level_number
  FROM institutions
),
companions AS (
  SELECT DISTINCT l.institution_id, l.person_id, l.service_time_day AS service_day, k.item_code, k.point_name
  FROM net_lines l
  JOIN conditions k ON l.item_code = k.allowed AND k.kind = 'companion'
  WHERE l.quantity > 0 OR l.amount > 0
),
beyond AS (
  SELECT l.*
  FROM lines l
  ANTI JOIN conditions a
    ON l.item_code = a.item_code
    AND l.point_name = a.point_name
    AND a.kind = 'visit'
    AND (l.visit_type = a.allowed OR (l.visit_type = 'pharmacy' AND a.allowed <> 'inpatient'))
  WHERE l.kind = 'visit'
  UNION ALL
  SELECT l.*
  FROM lines l
  JOIN levels i ON l.institution_id = i.institution_id AND i.level_number < l.lowest
  WHERE l.kind = 'level'
  UNION ALL
  SELECT l.*
  FROM lines l
  SEMI JOIN visit_diagnoses d
    ON l.institution_id = d.institution_id AND l.person_id = d.person_id AND l.visit_id = d.visit_id
  ANTI JOIN visit_calls c
    ON l.institution_id = c.institution_id
    AND l.person_id = c.person_id
    AND l.visit_id = c.visit_id
    AND l.item_code = c.item_code
    AND l.point_name = c.point_name
  WHERE l.kind = 'diagnosis'
  UNION ALL
  SELECT l.*
  FROM lines l
  ANTI JOIN companions c
    ON l.institution_id = c.institution_id
    AND l.person_id = c.person_id
    AND l.service_day = c.service_day
    AND l.item_code = c.item_code
    AND l.point_name = c.point_name
  WHERE l.kind = 'companion'
)
SELECT
  institution_id,
  person_id,
  array_agg(line_id) AS line_ids,
  sum(amount) AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  item_code,
  CASE
    WHEN kind = 'visit' THEN '不属于其限定的就医方式'
    WHEN kind = 'level' THEN '机构级别低于其限定'
    WHEN kind = 'diagnosis' THEN '本次就诊没有其限定的诊断'
    ELSE '当日没有其所依附的项目'
  END AS kind_zh,
  CASE
    WHEN kind = 'visit' THEN 'it is not paid on such a visit'
    WHEN kind = 'level' THEN 'it takes an institution of a higher level'
    WHEN kind = 'diagnosis' THEN 'none of the visit''s diagnoses calls for it'
    ELSE 'the item that it belongs to was not billed on that day'
  END AS kind_en,
  count(*) AS lines,
  point,
  point_version
FROM beyond
GROUP BY institution_id, person_id, item_code, kind, point, point_version
