/*
id: duplicate-person
version: "1.0"
title: {zh: 一人两号，同日各计透析, en: Dialysis billed on one day under several numbers of one person}
status: stable
basis: [国务院令第735号 第四十条（冒名、虚构医药服务项目） / State Council Decree 735 art 40]
stage: after
level: high
known_false_positives:
  - {zh: 人员合并有误，实为两人, en: a merge of two different persons}
  - {zh: 同日确做两次治疗, en: two treatments on one day}
explanation:
  zh: "参保人名下有 {numbers} 个已合并的编号；{institution_id} 与其他机构在 {days} 天为其同日计费同类透析 {lines} 条、{amount} 元，其中有的费用没有治疗可对应。请核对是否一人两号重复计费。"
  en: "The person has {numbers} merged number(s) besides the current one; on {days} day(s) the same kind of dialysis was billed more than once, {lines} line(s) at {institution_id}, {amount} yuan, and for some of them there was no treatment. Check whether one person was billed under two numbers."
examples:
  - title: {zh: 新旧编号同日各一次, en: once under each number on one day}
    tables:
      person_aliases: [{person_id: P9, alias_of: P1}]
      claim_lines:
        - {line_id: L1, person_id: P1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
        - {line_id: L2, person_id: P1, item_code: HD, service_time: "2026-03-04 11:00", amount: 400}
      attendance:
        - {event_id: E1, occurred_at: "2026-03-04 08:00"}
        - {event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:00"}
      coverage:
        - {from_at: "2026-02-01 00:00", to_at: "2026-03-31 00:00"}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1, L2], amount: 800}
    neighbour:
      title: {zh: 只有一个编号，由其他规则判断, en: a person with one number is for other rules}
      tables:
        person_aliases: []
*/
WITH numbered AS (
  SELECT alias_of AS person_id, count(DISTINCT person_id) AS numbers
  FROM person_aliases
  WHERE person_id <> alias_of
  GROUP BY alias_of
),
lines AS (
  SELECT d.line, d.line_id, d.institution_id, d.person_id, d.item_class, d.service_day, d.service_time, d.amount, n.numbers
  FROM dialysis_lines d
  JOIN numbered n ON d.person_id = n.person_id
  WHERE d.service_day BETWEEN $from_day AND $to_day
),
-- where each line has a treatment of its own, however late it was entered, nothing was billed twice
several AS (
  SELECT person_id, item_class, service_day
  FROM lines
  GROUP BY person_id, item_class, service_day
  HAVING count(*) > 1
),
had AS (
  SELECT DISTINCT v.person_id, v.item_class, v.service_day
  FROM several v
  JOIN lines l ON v.person_id = l.person_id AND v.item_class = l.item_class AND v.service_day = l.service_day
  JOIN line_verdicts w ON l.line = w.line AND w.verdict = 'contradicted'
)
SELECT
  l.institution_id,
  l.person_id,
  array_agg(l.line_id) AS line_ids,
  sum(l.amount) AS amount,
  min(l.service_time) AS from_at,
  max(l.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  l.numbers,
  count(DISTINCT l.service_day) AS days,
  count(*) AS lines
FROM lines l
JOIN had h ON l.person_id = h.person_id AND l.item_class = h.item_class AND l.service_day = h.service_day
GROUP BY l.institution_id, l.person_id, l.numbers
