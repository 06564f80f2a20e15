/*
id: sign-in-burst
version: "1.0"
title: {zh: 短时集中签到, en: More sign-ins in a minute than people can walk past}
status: stable
basis: [国务院令第735号 第四十条（伪造电子信息） / State Council Decree 735 art 40]
stage: during
level: medium
parameters:
  most_in_a_minute:
    unit: sign-ins a minute and device
    meaning: {zh: 一台设备一分钟内最多的签到人数, en: people who can sign in at one device within a minute}
    values:
      - {from: 2020-01-01, value: 6, reference: "一次签到从首帧到通过约十秒 / a sign-in takes some ten seconds from first frame to green screen"}
known_false_positives:
  - {zh: 设备时钟跳变, en: a device whose clock was set back}
explanation:
  zh: "设备 {device_id} 当日有 {sign_ins} 次签到落在一分钟超过 {most} 人的时段内。"
  en: "{sign_ins} sign-ins on device {device_id} fall into stretches with more than {most} people in a minute."
examples:
  - title: {zh: 一分钟十人, en: ten people within a minute}
    tables:
      attendance:
        - {repeat: 10, every_seconds: 4, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 07:00"}
    flags:
      - {institution_id: H1, line_ids: [], evidence: [E0, E1, E2, E3, E4, E5, E6, E7, E8, E9]}
    neighbour:
      title: {zh: 每十二秒一人, en: one every twelve seconds}
      tables:
        attendance:
          - {repeat: 10, every_seconds: 12, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 07:00"}
*/
WITH signs AS (
  SELECT institution_id, device_id, event_id, occurred_at, occurred_at_day
  FROM attendance
  WHERE event_type = 'sign_in'
    AND outcome IN ('match', 'manual', 'declined')
    AND clock_trusted
    AND occurred_at_day BETWEEN $from_day AND $to_day
),
-- a minute lies within one of these stretches of two minutes, which begin every minute: most hold too few
busy AS (
  SELECT institution_id, device_id, stretch * 120000000 AS from_at
  FROM (SELECT institution_id, device_id, occurred_at // 120000000 AS stretch FROM signs) even
  GROUP BY institution_id, device_id, stretch
  HAVING count(*) > $most_in_a_minute
  UNION ALL
  SELECT institution_id, device_id, stretch * 120000000 - 60000000 AS from_at
  FROM (SELECT institution_id, device_id, (occurred_at + 60000000) // 120000000 AS stretch FROM signs) odd
  GROUP BY institution_id, device_id, stretch
  HAVING count(*) > $most_in_a_minute
),
candidates AS (
  SELECT s.*
  FROM signs s
  SEMI JOIN busy b
    ON s.institution_id = b.institution_id
    AND s.device_id = b.device_id
    AND s.occurred_at >= b.from_at
    AND s.occurred_at < b.from_at + 120000000
),
counted AS (
  SELECT
    institution_id,
    device_id,
    occurred_at,
    count(*) OVER (
      PARTITION BY institution_id, device_id ORDER BY occurred_at RANGE BETWEEN 59999999 PRECEDING AND CURRENT ROW
    ) AS within_a_minute
  FROM candidates
),
-- few sign-ins close a minute that is too crowded; all that lie in such a minute are the burst
crowded AS (
  SELECT institution_id, device_id, occurred_at FROM counted WHERE within_a_minute > $most_in_a_minute
),
burst AS (
  SELECT s.*
  FROM candidates s
  SEMI JOIN crowded c
    ON s.institution_id = c.institution_id
    AND s.device_id = c.device_id
    AND s.occurred_at BETWEEN c.occurred_at - 59999999 AND c.occurred_at
)
SELECT
  institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  min(occurred_at) AS from_at,
  max(occurred_at) AS to_at,
  array_agg(event_id) AS evidence,
  device_id,
  count(*) AS sign_ins,
  $most_in_a_minute AS most
FROM burst
GROUP BY institution_id, device_id, occurred_at_day
