/*
id: outside-period
version: "1.0"
title: {zh: 服务日期远在任何核对期间之外, en: Service days that no audit will ever reach}
status: stable
basis: [国务院令第735号 第四十条（伪造、变造会计凭证和电子信息） / State Council Decree 735 art 40]
stage: after
level: medium
parameters:
  far_days:
    unit: days
    meaning: {zh: 距本期多少天以上视为远离, en: "how far from the period a day is out of reach: nearer ones belong to the audit of their own month"}
    values:
      - {from: 2020-01-01, value: 300, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest:
    unit: lines
    meaning: {zh: 起评条数, en: "fewer such lines than this are slips of the pen"}
    values:
      - {from: 2020-01-01, value: 3, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  history_lines:
    unit: lines in thirty days
    meaning: {zh: 视为历史数据的条数, en: "as many lines of one institution in thirty days are its history and no slip, where others have theirs too"}
    values:
      - {from: 2020-01-01, value: 20, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 数据包含多年历史, en: tables that hold the history of years}
  - {zh: 年份录入错误, en: a year that was typed wrongly}
explanation:
  zh: "{institution_id} 有 {lines} 条费用（{amount} 元）的服务日期最早在 {first_year} 年，距本期至少 {days_away} 天，不属于任何正常核对期间；这些费用因此从未被核对。"
  en: "{institution_id} billed {lines} line(s) ({amount} yuan) with service dates from {first_year} on, at least {days_away} days away from the period, where no audit reaches them: they are never checked."
examples:
  - title: {zh: 年份提前十年, en: dated ten years ago}
    tables:
      claim_lines:
        - {repeat: 5, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2016-03-02 10:00"}
        - {repeat: 5, every_minutes: 1440, line_id: "M{n}", item_code: HD, service_time: "2026-03-02 10:00"}
    flags:
      - {institution_id: H1, amount: 2000}
    neighbour:
      title: {zh: 上月的费用由上月核对, en: lines of the month before belong to its own audit}
      tables:
        claim_lines:
          - {repeat: 5, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-02-02 10:00"}
          - {repeat: 5, every_minutes: 1440, line_id: "M{n}", item_code: HD, service_time: "2026-03-02 10:00"}
*/
WITH far AS (
  SELECT
    line_id,
    institution_id,
    service_time,
    service_time_day,
    (service_time_day + 3000000) // 30 AS stretch,
    amount,
    greatest($from_day - service_time_day, service_time_day - $to_day) AS days_away
  FROM claim_lines
  WHERE service_time_day < $from_day - $far_days OR service_time_day > $to_day + $far_days
),
-- a stretch in which every second institution has its lines is history that came with the tables
held AS (
  SELECT f.stretch, count(DISTINCT f.institution_id) AS institutions
  FROM (
    SELECT stretch, institution_id FROM far GROUP BY stretch, institution_id HAVING count(*) >= $history_lines
  ) f
  GROUP BY f.stretch
),
senders AS (
  SELECT count(DISTINCT institution_id) AS institutions FROM claim_lines
),
history AS (
  SELECT h.stretch
  FROM held h
  CROSS JOIN senders s
  WHERE h.institutions * 2 >= s.institutions
),
strays AS (
  SELECT f.* FROM far f ANTI JOIN history h ON f.stretch = h.stretch
)
SELECT
  institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  array_agg(line_id) AS line_ids,
  sum(amount) AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  count(*) AS lines,
  1970 + min(service_time_day) * 100 // 36525 AS first_year,
  min(days_away) AS days_away
FROM strays
GROUP BY institution_id
HAVING count(*) >= $fewest
