/*
id: bed-billed-twice
version: "1.0"
title: {zh: 同一人同一日计收多个床位, en: More than one bed a day for one person}
status: stable
basis: [国务院令第735号 第三十八条（重复收费）、第四十条（虚构医药服务项目） / State Council Decree 735 arts 38 and 40]
stage: after
level: high
known_false_positives:
  - {zh: 转科当日新旧病区各计一次, en: a move between wards that was not recorded as a transfer}
  - {zh: 同室加床（陪护）误用患者床位编码, en: a companion's bed billed by the code of a patient's}
explanation:
  zh: "{institution_id} 为参保人计收的床位费中，有 {days} 天当日已另有床位计费，多计 {lines} 条、约 {amount} 元；除转科转院当日外，一个人一天只能占用一张床。"
  en: "{institution_id} billed the person a bed on {days} day(s) that already had one: {lines} line(s), about {amount} yuan. Except on a day of transfer, a person occupies one bed a day."
examples:
  - title: {zh: 一个床日计五次, en: one bed day billed five times}
    tables:
      stays: [{visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-09 10:00"}]
      claim_lines:
        - {repeat: 5, line_id: "L{n}", visit_id: V1, item_code: BED, service_time: "2026-03-04 08:00", amount: 60}
    flags:
      - {institution_id: H1, person_id: P1, amount: 240}
    neighbour:
      title: {zh: 五天合计一条, en: five days on one line}
      tables:
        claim_lines:
          - {line_id: L1, visit_id: V1, item_code: BED, service_time: "2026-03-06 08:00", quantity: 5, amount: 300}
*/
WITH doubled AS (
  SELECT
    v.line,
    v.line_id,
    v.institution_id,
    s.person_id,
    s.service_time,
    v.day,
    v.evidence,
    CAST(v.amount * 100 AS BIGINT) // v.days AS cents
  FROM bed_day_verdicts v
  JOIN scope_lines s ON v.line = s.line
  WHERE v.reason = 'bed_billed_twice' AND s.service_day BETWEEN $from_day AND $to_day
)
SELECT
  institution_id,
  person_id,
  array_agg(DISTINCT line_id) AS line_ids,
  sum(cents) / 100 AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  flatten(array_agg(evidence)) AS evidence,
  count(DISTINCT day) AS days,
  count(DISTINCT line) AS lines
FROM doubled
GROUP BY institution_id, person_id
