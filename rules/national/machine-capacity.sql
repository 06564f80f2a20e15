/*
id: machine-capacity
version: "1.1"
title: {zh: 透析例次超出机器承载, en: Sessions billed beyond machines times shifts}
status: stable
basis: [国务院令第735号 第四十条（虚构医药服务项目） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  shifts:
    unit: sessions a machine and day
    meaning: {zh: 一台机器一天最多的班次, en: shifts that one machine can serve in a day}
    values:
      - {from: 2020-01-01, value: 4, reference: "每次四小时加周转，一天四班；由地区自行设定 / 4 h a session and turnaround leave four shifts in a day; a region sets its own"}
  bundle_sessions:
    unit: sessions
    meaning: {zh: 一人一日计费达到此数即视为集中补记，不计入当日, en: "a person with as many sessions billed on one day was billed for several days at once, and does not count"}
    values:
      - {from: 2020-01-01, value: 3, reference: "费用时间不是治疗时间；没有人一天治疗三次 / fee time is not treatment time; nobody is treated three times in a day"}
known_false_positives:
  - {zh: 机器台数未及时更新, en: machines that were added and not yet reported}
  - {zh: 上一日的费用次日才入账, en: the fees of the day before entered a day late}
explanation:
  zh: "{institution_id} 当日计费透析 {sessions} 例次，登记机器 {machines} 台，按每台 {shifts} 班最多 {most} 例次。"
  en: "{institution_id} billed {sessions} sessions that day; its {machines} registered machine(s), at {shifts} shifts each, can serve {most} at most."
examples:
  - title: {zh: 一台机器五例, en: five sessions on one machine}
    tables:
      institutions: [{institution_id: H1, dialysis_machines: 1}]
      claim_lines:
        - {repeat: 5, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-04 10:00"}
    flags:
      - {institution_id: H1, line_ids: [L0, L1, L2, L3, L4], amount: 2000}
    neighbour:
      title: {zh: 两台机器, en: the same with two machines}
      tables:
        institutions: [{institution_id: H1, dialysis_machines: 2}]
  - title: {zh: 灌流与透析同一例次不重复计, en: haemoperfusion shares the session of a haemodialysis line}
    tables:
      institutions: [{institution_id: H1, dialysis_machines: 1}]
      claim_lines:
        - {repeat: 5, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-04 10:00"}
        - {repeat: 5, line_id: "M{n}", person_id: "P{n}", item_code: HP, service_time: "2026-03-04 10:00", amount: 100}
    flags:
      - {institution_id: H1, amount: 2500}
    neighbour:
      title: {zh: 四人各两条，共四例次, en: four persons with two lines each are four sessions}
      tables:
        claim_lines:
          - {repeat: 4, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-04 10:00"}
          - {repeat: 4, line_id: "M{n}", person_id: "P{n}", item_code: HP, service_time: "2026-03-04 10:00"}
  - title: {zh: 超出者不含月末合并记账, en: "five patients of the day, beside bundles"}
    tables:
      institutions: [{institution_id: H1, dialysis_machines: 1}]
      claim_lines:
        - {repeat: 5, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-31 10:00"}
        - {repeat: 5, line_id: "M{n}", person_id: "Q{n}", item_code: HD, service_time: "2026-03-31 17:00", quantity: 12, amount: 4800}
    flags:
      - {institution_id: H1, line_ids: [L0, L1, L2, L3, L4], amount: 2000}
    neighbour:
      title: {zh: 只有月末合并记账, en: "a month's sessions entered on its last day"}
      tables:
        claim_lines:
          - {repeat: 5, line_id: "M{n}", person_id: "Q{n}", item_code: HD, service_time: "2026-03-31 17:00", quantity: 12, amount: 4800}
*/
WITH by_class AS (
  SELECT institution_id, service_day, person_id, item_class, sum(needed) AS sessions
  FROM dialysis_lines
  WHERE service_day BETWEEN $from_day AND $to_day
  GROUP BY institution_id, service_day, person_id, item_class
),
by_person AS (
  SELECT institution_id, service_day, person_id, max(sessions) AS sessions
  FROM by_class
  GROUP BY institution_id, service_day, person_id
  HAVING max(sessions) < $bundle_sessions
),
by_day AS (
  SELECT institution_id, service_day, sum(sessions) AS sessions
  FROM by_person
  GROUP BY institution_id, service_day
),
beyond AS (
  SELECT d.institution_id, d.service_day, d.sessions, i.dialysis_machines AS machines
  FROM by_day d
  JOIN institutions i ON d.institution_id = i.institution_id
  WHERE d.sessions > i.dialysis_machines * $shifts
)
SELECT
  b.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  array_agg(l.line_id) AS line_ids,
  sum(l.amount) AS amount,
  min(l.service_time) AS from_at,
  max(l.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  CAST(b.sessions AS BIGINT) AS sessions,
  b.machines,
  $shifts AS shifts,
  b.machines * $shifts AS most
FROM beyond b
JOIN by_person p ON b.institution_id = p.institution_id AND b.service_day = p.service_day
JOIN dialysis_lines l
  ON p.institution_id = l.institution_id AND p.service_day = l.service_day AND p.person_id = l.person_id
GROUP BY b.institution_id, b.service_day, b.sessions, b.machines
