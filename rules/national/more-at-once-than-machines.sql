/*
id: more-at-once-than-machines
version: "1.0"
title: {zh: 同时治疗人数超过机器台数, en: More persons on dialysis at once than machines}
status: stable
basis: [国务院令第735号 第四十条（虚构医药服务项目） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  waiting_minutes:
    unit: minutes
    meaning: {zh: 签到后候诊、签退前离场各不计的时间, en: "time after the sign-in and before the sign-out that may be waiting"}
    values:
      - {from: 2020-01-01, value: 60, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  spare_share:
    unit: share
    meaning: {zh: 允许超出机器台数的比例, en: "how far above the machines the persons at once may be"}
    values:
      - {from: 2020-01-01, value: 0.2, reference: "已增加而尚未上报的机器 / machines that were added and not yet reported"}
  spare_persons:
    unit: persons
    meaning: {zh: 允许超出机器台数的人数, en: "how many persons above the machines are always allowed"}
    values:
      - {from: 2020-01-01, value: 1, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 机器台数未及时更新, en: machines that were added and not yet reported}
  - {zh: 大量患者提前到场等候, en: many patients who come long before their shift}
explanation:
  zh: "{institution_id} 当日同一时刻有 {at_once} 人正在透析（已扣除前后各 {waiting_minutes} 分钟），登记机器只有 {machines} 台；全天例次不超过各班总量，并不能说明同一时刻治疗得下。"
  en: "At one moment of that day {at_once} people were on dialysis at {institution_id} (leaving out {waiting_minutes} minutes at both ends), which has {machines} registered machine(s). A day's total that fits into the shifts does not mean that all of them could be treated at once."
examples:
  - title: {zh: 两台机器，八人同时, en: eight at once on two machines}
    tables:
      institutions: [{institution_id: H1, dialysis_machines: 2}]
      claim_lines:
        - {repeat: 8, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-04 10:00"}
      attendance:
        - {repeat: 8, every_minutes: 3, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 08:00"}
        - {repeat: 8, every_minutes: 3, event_id: "F{n}", person_id: "P{n}", event_type: sign_out, occurred_at: "2026-03-04 12:00"}
    flags:
      - {institution_id: H1, line_ids: [L0, L1, L2, L3, L4, L5, L6, L7], amount: 3200}
    neighbour:
      title: {zh: 分四班，每班两人, en: "four shifts, two at a time"}
      tables:
        attendance:
          - {repeat: 4, every_minutes: 255, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 05:00"}
          - {repeat: 4, every_minutes: 255, event_id: "F{n}", person_id: "P{n}", event_type: sign_out, occurred_at: "2026-03-04 09:30"}
          - {repeat: 4, every_minutes: 255, event_id: "G{n}", person_id: "Q{n}", occurred_at: "2026-03-04 05:00"}
          - {repeat: 4, every_minutes: 255, event_id: "I{n}", person_id: "Q{n}", event_type: sign_out, occurred_at: "2026-03-04 09:30"}
*/
-- A day is that of the moment at which most were there; sessions count from an hour after their sign-in to an hour
-- before their end, so that neither the next shift's waiting nor the last one's dressing counts.
WITH cores AS (
  SELECT
    s.session,
    s.institution_id,
    s.person_id,
    s.first_day,
    s.signed_in_at + $waiting_minutes * 60000000 AS from_at,
    s.ended_at - $waiting_minutes * 60000000 AS to_at
  FROM dialysis_sessions s
  WHERE s.first_day BETWEEN $from_day AND $to_day
    AND s.ended_at - s.signed_in_at > 2 * $waiting_minutes * 60000000
),
changes AS (
  SELECT institution_id, first_day, from_at AS at, 1 AS change FROM cores
  UNION ALL
  SELECT institution_id, first_day, to_at AS at, -1 AS change FROM cores
),
counted AS (
  SELECT
    institution_id,
    first_day,
    at,
    change,
    sum(change) OVER (
      PARTITION BY institution_id ORDER BY at, change
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS at_once
  FROM changes
),
highest AS (
  SELECT
    c.institution_id,
    c.first_day,
    c.at,
    c.at_once,
    i.dialysis_machines AS machines,
    row_number() OVER (PARTITION BY c.institution_id, c.first_day ORDER BY c.at_once DESC, c.at) AS place
  FROM counted c
  JOIN institutions i ON c.institution_id = i.institution_id
  WHERE c.change = 1
    AND c.at_once > i.dialysis_machines * (1 + $spare_share)
    AND c.at_once > i.dialysis_machines + $spare_persons
),
beyond AS (
  SELECT institution_id, first_day, at, CAST(at_once AS BIGINT) AS at_once, machines FROM highest WHERE place = 1
),
there AS (
  SELECT b.institution_id, b.first_day, b.at, b.at_once, b.machines, c.session, c.person_id
  FROM beyond b
  JOIN cores c ON b.institution_id = c.institution_id AND b.at >= c.from_at AND b.at < c.to_at
),
lines AS (
  SELECT DISTINCT t.institution_id, t.first_day, l.line, l.line_id, l.amount
  FROM there t
  JOIN dialysis_lines l
    ON t.institution_id = l.institution_id AND t.person_id = l.person_id AND t.first_day = l.service_day
),
billed AS (
  SELECT institution_id, first_day, array_agg(line_id) AS line_ids, sum(amount) AS amount
  FROM lines
  GROUP BY institution_id, first_day
),
found AS (
  SELECT institution_id, first_day, at, at_once, machines, array_agg(DISTINCT session) AS evidence
  FROM there
  GROUP BY institution_id, first_day, at, at_once, machines
)
SELECT
  t.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  coalesce(b.line_ids, CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(b.amount, 0) AS amount,
  t.at AS from_at,
  t.at AS to_at,
  t.evidence,
  t.at_once,
  t.machines,
  $waiting_minutes AS waiting_minutes
FROM found t
LEFT JOIN billed b ON t.institution_id = b.institution_id AND t.first_day = b.first_day
