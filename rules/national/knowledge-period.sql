/*
id: knowledge-period
version: "1.1"
title: {zh: 项目超过疗程限定天数, en: More days of an item than its course allows}
status: stable
basis: [国务院令第735号 第三十八条（超标准收费） / State Council Decree 735 art 38, "国家医保“两库”第八批（频次与疗程） / national library, batch 8 (frequencies and courses)"]
stage: before
level: medium
known_false_positives:
  - {zh: 因病情变化重新开始的疗程, en: a course that began again because the illness had changed}
explanation:
  zh: "参保人在 {days} 天内有 {billed} 天计费 {item_code}，疗程限 {most} 天；{institution_id} 本期有 {lines} 条、{amount} 元超出。"
  en: "{item_code} was billed for the person on {billed} days within {days}; a course is limited to {most}. Beyond that {institution_id} billed {lines} line(s), {amount} yuan."
examples:
  - title: {zh: 十四天内第三天, en: a third day within fourteen}
    tables:
      claim_lines:
        - {line_id: L1, item_code: EXAMPLE-COURSE, service_time: "2026-03-04 10:00", amount: 100}
        - {line_id: L2, item_code: EXAMPLE-COURSE, service_time: "2026-03-08 10:00", amount: 100}
        - {line_id: L3, institution_id: H2, item_code: EXAMPLE-COURSE, service_time: "2026-03-12 10:00", amount: 100}
    flags:
      - {institution_id: H2, person_id: P1, line_ids: [L3], amount: 100}
    neighbour:
      title: {zh: 第十五天, en: on the fifteenth day}
      tables:
        claim_lines:
          - {line_id: L1, item_code: EXAMPLE-COURSE, service_time: "2026-03-04 10:00", amount: 100}
          - {line_id: L2, item_code: EXAMPLE-COURSE, service_time: "2026-03-08 10:00", amount: 100}
          - {line_id: L3, institution_id: H2, item_code: EXAMPLE-COURSE, service_time: "2026-03-18 10:00", amount: 100}
*/
-- It looks back as far as the tables hold lines.
WITH lines AS (
  SELECT
    c.line,
    c.line_id,
    c.institution_id,
    c.person_id,
    c.item_code,
    c.service_time,
    c.service_time_day AS service_day,
    c.amount + coalesce(r.amount, 0) AS amount,
    k.most,
    k.days,
    k.point,
    k.point_version
  FROM claim_lines c
  JOIN known_periods k
    ON c.item_code = k.item_code AND c.service_time_day BETWEEN k.valid_from AND k.valid_to
  LEFT JOIN reversals r ON c.line = r.line
  WHERE c.reverses_line_id IS NULL
    AND c.service_time_day <= $to_day
    AND (r.line IS NULL OR c.amount + r.amount > 0)
    AND (c.quantity > 0 OR c.amount > 0)
),
beyond AS (
  SELECT
    l.line,
    l.line_id,
    l.institution_id,
    l.person_id,
    l.item_code,
    l.service_time,
    l.amount,
    l.most,
    l.days,
    l.point,
    l.point_version,
    count(DISTINCT b.service_day) AS billed
  FROM lines l
  JOIN lines b
    ON l.person_id = b.person_id
    AND l.item_code = b.item_code
    AND b.service_day BETWEEN l.service_day - l.days + 1 AND l.service_day
  WHERE l.service_day BETWEEN $from_day AND $to_day
  GROUP BY l.line, l.line_id, l.institution_id, l.person_id, l.item_code, l.service_time, l.amount, l.most, l.days, l.point, l.point_version
  HAVING count(DISTINCT b.service_day) > l.most
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
  most,
  days,
  max(billed) AS billed,
  count(*) AS lines,
  point,
  point_version
FROM beyond
GROUP BY institution_id, person_id, item_code, most, days, point, point_version
