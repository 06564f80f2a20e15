/*
id: long-examination
version: "1.0"
title: {zh: 外出检查或转科过久, en: An examination or transfer that goes on and on}
status: stable
basis: [国务院令第735号 第三十八条（挂床住院） / State Council Decree 735 art 38]
stage: during
level: medium
parameters:
  longest_hours:
    unit: hours
    meaning: {zh: 外出检查或转运的最长时间, en: "what an examination or a transfer may take"}
    values:
      - {from: 2020-01-01, value: 24, reference: "与床位费核对的最长外出时间一致 / longest_examination_hours of line-bed-day"}
  fewest_days:
    unit: days
    meaning: {zh: 其后仍计床位费的天数, en: "bed days billed after that time which are no matter of one late return"}
    values:
      - {from: 2020-01-01, value: 2, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 返回时间漏填, en: "a return that was not recorded, although the patient was back"}
explanation:
  zh: "{institution_id} 为参保人登记的外出（{kind}）历时 {hours} 小时，超过 {longest_hours} 小时；其后 {days} 天仍计床位费 {amount} 元，且这些天没有人或设备看到该患者在院。"
  en: "The {kind} recorded for the person at {institution_id} lasts {hours} hours, more than the {longest_hours} allowed; {days} bed day(s) after that were billed, {amount} yuan, and neither people nor devices saw the person there on those days."
examples:
  - title: {zh: 检查二十天, en: an examination of twenty days}
    tables:
      stays: [{visit_id: V1, admitted_at: "2026-03-01 09:00"}]
      leaves: [{visit_id: V1, kind: examination, left_at: "2026-03-01 10:00", returned_at: "2026-03-21 10:00"}]
      claim_lines:
        - {repeat: 19, every_minutes: 1440, line_id: "L{n}", visit_id: V1, item_code: BED, service_time: "2026-03-02 08:00", amount: 50}
    flags:
      - {institution_id: H1, person_id: P1, evidence: [V1], amount: 900}
    neighbour:
      title: {zh: 检查一天半, en: an examination of a day and a half}
      tables:
        leaves: [{visit_id: V1, kind: examination, left_at: "2026-03-01 10:00", returned_at: "2026-03-02 22:00"}]
*/
WITH long AS (
  SELECT
    v.institution_id,
    v.person_id,
    v.visit_id,
    v.kind,
    v.left_at,
    v.left_at_day,
    v.left_at_local + $longest_hours * 3600000000 AS over_local,
    coalesce(v.returned_at_local, v.due_back_at_local, ($to_day + 1) * 86400000000) AS back_local,
    coalesce(v.returned_at, v.due_back_at, ($to_day + 1) * 86400000000) - v.left_at AS lasted
  FROM leaves v
  WHERE v.kind IN ('examination', 'transfer')
    AND coalesce(v.returned_at, v.due_back_at, ($to_day + 1) * 86400000000) - v.left_at > $longest_hours * 3600000000
),
unseen AS (
  SELECT
    g.institution_id,
    g.person_id,
    g.visit_id,
    g.kind,
    g.left_at,
    g.lasted,
    l.line_id,
    CAST(w.amount * 100 AS BIGINT) // w.days AS cents,
    w.day,
    l.service_time
  FROM long g
  JOIN scope_lines l
    ON g.institution_id = l.institution_id
    AND g.person_id = l.person_id
    AND l.item_class = 'bed_day'
    AND l.in_period
  JOIN bed_day_verdicts w
    ON l.line = w.line
    AND w.reason <> 'seen'
    AND w.day * 86400000000 < g.back_local
    AND w.day * 86400000000 >= g.over_local
)
SELECT
  institution_id,
  person_id,
  array_agg(DISTINCT line_id) AS line_ids,
  sum(cents) / 100 AS amount,
  min(left_at) AS from_at,
  max(service_time) AS to_at,
  [visit_id] AS evidence,
  kind,
  lasted // 3600000000 AS hours,
  count(DISTINCT day) AS days,
  $longest_hours AS longest_hours
FROM unseen
GROUP BY institution_id, person_id, visit_id, kind, left_at, lasted
HAVING count(DISTINCT day) >= $fewest_days
