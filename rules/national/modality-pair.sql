/*
id: modality-pair
version: "1.0"
title: {zh: 一次治疗按多种方式收费, en: One treatment billed as several modalities}
status: stable
basis: [国务院令第735号 第三十八条（重复收费） / State Council Decree 735 art 38]
stage: after
level: medium
parameters:
  near_days:
    unit: days
    meaning: {zh: 向前合并计算的天数, en: "days up to the day that are taken together, for fees entered late"}
    values:
      - {from: 2020-01-01, value: 7, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_extra:
    unit: sessions
    meaning: {zh: 这些天内收费例次比到场天数至少多出的次数, en: "how many sessions more than days on which the person came must have been billed in them"}
    values:
      - {from: 2020-01-01, value: 2, reference: "一次疏忽或一天停机即可造成一次 / a single slip, or one day of outage, makes one"}
  bundle_sessions:
    unit: sessions
    meaning: {zh: 一条达到此数即视为集中补记，不作判断, en: "a line of as many sessions speaks of several days and is not judged here"}
    values:
      - {from: 2020-01-01, value: 2, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 多次治疗的签到因设备故障缺失，又同日补记, en: "several treatments whose sign-ins were lost in an outage, entered on one day"}
explanation:
  zh: "参保人当日在 {institution_id} 按 {classes} 种方式（透析、透析滤过、滤过）计费 {lines} 条、{amount} 元；连同此前共 {near_days} 天内计费 {needed} 例次，而到场签到只有 {visits} 天。一次治疗只能按一种方式收费。"
  en: "{institution_id} billed a person {classes} modalities (haemodialysis, haemodiafiltration, haemofiltration) on one day, {lines} lines, {amount} yuan; within {near_days} days {needed} sessions were billed, but the person signed in on only {visits} day(s). One treatment is billed under one modality."
examples:
  - title: {zh: 一次治疗计透析、透析滤过、滤过, en: "HD, HDF and HF of one session"}
    tables:
      claim_lines:
        - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
        - {line_id: L2, item_code: HDF, service_time: "2026-03-04 10:00", amount: 500}
        - {line_id: L3, item_code: HF, service_time: "2026-03-04 10:00", amount: 450}
      attendance:
        - {event_id: E1, occurred_at: "2026-03-04 08:00"}
        - {event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:00"}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1, L2, L3], amount: 1350}
    neighbour:
      title: {zh: 透析加灌流, en: haemodialysis with haemoperfusion}
      tables:
        claim_lines:
          - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
          - {line_id: L2, item_code: HP, service_time: "2026-03-04 10:00", amount: 700}
  - title: {zh: 每次治疗都计透析和透析滤过, en: HD and HDF of each of three sessions}
    tables:
      claim_lines:
        - {repeat: 3, every_minutes: 2880, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00", amount: 400}
        - {repeat: 3, every_minutes: 2880, line_id: "M{n}", item_code: HDF, service_time: "2026-03-02 10:00", amount: 500}
      attendance:
        - {repeat: 3, every_minutes: 2880, event_id: "E{n}", occurred_at: "2026-03-02 08:00"}
    flags:
      - {line_ids: [L1, M1]}
      - {line_ids: [L2, M2]}
    neighbour:
      title: {zh: 周一的透析与周三的滤过同在周三入账, en: "Monday's HD and Wednesday's HDF, both entered on Wednesday"}
      tables:
        claim_lines:
          - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00", amount: 400}
          - {line_id: L2, item_code: HDF, service_time: "2026-03-04 10:00", amount: 500}
        attendance:
          - {repeat: 3, every_minutes: 2880, event_id: "E{n}", occurred_at: "2026-03-02 08:00"}
*/
-- Fee time is not treatment time: the days before are counted with it, as far as the tables reach.
WITH lines AS (
  SELECT line, line_id, institution_id, person_id, service_day, service_time, item_class, amount, greatest(1, quantity) AS needed
  FROM capped_lines
  WHERE item_class IN ('haemodialysis', 'haemodiafiltration', 'haemofiltration')
),
suspects AS (
  SELECT institution_id, person_id, service_day, count(DISTINCT item_class) AS classes
  FROM lines
  WHERE service_day BETWEEN $from_day AND $to_day
  GROUP BY institution_id, person_id, service_day
  HAVING count(DISTINCT item_class) > 1 AND max(needed) < $bundle_sessions AND count(*) = count(DISTINCT item_class)
),
billed AS (
  SELECT s.institution_id, s.person_id, s.service_day, s.classes, sum(l.needed) AS needed
  FROM suspects s
  JOIN lines l
    ON s.institution_id = l.institution_id
    AND s.person_id = l.person_id
    AND l.service_day BETWEEN s.service_day - $near_days + 1 AND s.service_day
  GROUP BY s.institution_id, s.person_id, s.service_day, s.classes
),
came AS (
  SELECT s.institution_id, s.person_id, s.service_day, count(DISTINCT e.occurred_at_day) AS visits
  FROM suspects s
  JOIN attendance e
    ON s.institution_id = e.institution_id
    AND s.person_id = e.person_id
    AND e.occurred_at_day BETWEEN s.service_day - $near_days + 1 AND s.service_day
  WHERE e.purpose = 'dialysis' AND e.event_type IN ('sign_in', 'presence') AND e.outcome IN ('match', 'manual', 'declined')
  GROUP BY s.institution_id, s.person_id, s.service_day
)
SELECT
  l.institution_id,
  l.person_id,
  array_agg(l.line_id) AS line_ids,
  sum(l.amount) AS amount,
  min(l.service_time) AS from_at,
  max(l.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  b.classes,
  CAST(b.needed AS DOUBLE) AS needed,
  c.visits,
  $near_days AS near_days,
  count(*) AS lines
FROM billed b
JOIN came c
  ON b.institution_id = c.institution_id AND b.person_id = c.person_id AND b.service_day = c.service_day
JOIN lines l
  ON b.institution_id = l.institution_id AND b.person_id = l.person_id AND b.service_day = l.service_day
WHERE b.needed >= c.visits + $fewest_extra
GROUP BY l.institution_id, l.person_id, l.service_day, b.classes, b.needed, c.visits
