/*
id: alias-circle
version: "1.0"
title: {zh: 人员合并关系成环, en: Numbers of persons that are merged in a circle}
status: stable
basis: [国务院令第735号 第四十条（伪造、变造电子信息） / State Council Decree 735 art 40]
stage: after
level: low
known_false_positives:
  - {zh: 合并后又误操作反向合并, en: a merge that was taken back by merging the other way}
explanation:
  zh: "人员编号 {numbers} 的合并关系首尾相连，无法确定哪一个是现用编号；{institution_id} 在这些编号下计费 {lines} 条、{amount} 元。请主索引管理部门更正。"
  en: "Person numbers {numbers} have been merged in a circle, so it is unclear which one is current; {institution_id} billed {lines} line(s), {amount} yuan, under them. The keeper of the person index needs to correct this."
examples:
  - title: {zh: 甲并入乙，乙又并入甲, en: one merged into two and two into one}
    tables:
      person_aliases:
        - {person_id: P1, alias_of: P2}
        - {person_id: P2, alias_of: P1}
      claim_lines: [{line_id: L1, person_id: P1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}]
    flags:
      - {institution_id: H1, line_ids: [L1], amount: 400}
    neighbour:
      title: {zh: 两次合并到同一编号, en: two numbers merged into a third}
      tables:
        person_aliases:
          - {person_id: P1, alias_of: P3}
          - {person_id: P2, alias_of: P3}
*/
-- Circles of two to four numbers; a number that names itself says nothing.
WITH links AS (
  SELECT DISTINCT person_id, alias_of FROM person_aliases WHERE person_id <> alias_of
),
two AS (
  SELECT a.person_id, b.alias_of FROM links a JOIN links b ON a.alias_of = b.person_id
),
four AS (
  SELECT a.person_id, b.alias_of FROM two a JOIN two b ON a.alias_of = b.person_id
),
three AS (
  SELECT a.person_id, b.alias_of FROM two a JOIN links b ON a.alias_of = b.person_id
),
members AS (
  SELECT person_id FROM two WHERE person_id = alias_of
  UNION
  SELECT person_id FROM three WHERE person_id = alias_of
  UNION
  SELECT person_id FROM four WHERE person_id = alias_of
),
-- the circle's name is the smallest of its numbers
near AS (
  SELECT m.person_id, l.alias_of AS other FROM members m JOIN links l ON m.person_id = l.person_id
  UNION
  SELECT m.person_id, t.alias_of AS other FROM members m JOIN two t ON m.person_id = t.person_id
  UNION
  SELECT m.person_id, t.alias_of AS other FROM members m JOIN three t ON m.person_id = t.person_id
),
circles AS (
  SELECT person_id, least(person_id, min(other)) AS circle, count(DISTINCT other) AS numbers
  FROM near
  GROUP BY person_id
)
SELECT
  b.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  array_agg(b.line_id) AS line_ids,
  sum(b.amount) AS amount,
  min(b.service_time) AS from_at,
  max(b.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  c.circle AS numbers,
  count(*) AS lines
FROM circles c
JOIN billed_lines b ON c.person_id = b.person_id
WHERE b.service_day BETWEEN $from_day AND $to_day
GROUP BY b.institution_id, c.circle
