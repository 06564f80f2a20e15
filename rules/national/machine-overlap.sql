/*
id: machine-overlap
version: "1.0"
title: {zh: 一台透析机同时治疗多人, en: One dialysis machine with several persons at once}
status: stable
basis: [国务院令第735号 第四十条（虚构医药服务项目） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  allowed_minutes:
    unit: minutes
    meaning: {zh: 前后两人交接时允许的重叠, en: "an overlap of two runs that a late entry explains"}
    values:
      - {from: 2020-01-01, value: 30, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_at_once:
    unit: persons
    meaning: {zh: 同一时刻同一机器上的人数，达到即成立, en: "persons on one machine at one moment that no forgotten end of a run explains"}
    values:
      - {from: 2020-01-01, value: 3, reference: "忘记结束一次，一台机器上就有两人 / one forgotten end puts two persons on a machine"}
  fewest_overlaps:
    unit: runs
    meaning: {zh: 本期重叠次数，达到即成立, en: "overlapping runs of one machine in the period that are a habit"}
    values:
      - {from: 2020-01-01, value: 5, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 上一例忘记结束记录, en: runs whose end was recorded late}
  - {zh: 所有机器共用一个编号, en: machines that share one number in the log}
explanation:
  zh: "{institution_id} 的透析机 {machine_id} 的运行记录有 {runs} 条与他人重叠超过 {allowed_minutes} 分钟，涉及 {persons} 人，同一时刻最多 {at_once} 人；一台机器同时只能治疗一人。"
  en: "{runs} run(s) of machine {machine_id} at {institution_id} overlap with another person's by more than {allowed_minutes} minutes; {persons} people are concerned, up to {at_once} at one moment. A machine treats one person at a time."
examples:
  - title: {zh: 四人同时在一台机器上, en: four persons on one machine}
    tables:
      claim_lines:
        - {repeat: 4, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-04 10:00"}
      machine_sessions:
        - {repeat: 4, every_minutes: 5, person_id: "P{n}", started_at: "2026-03-04 08:00", ended_at: "2026-03-04 12:00"}
    flags:
      - {institution_id: H1, amount: 1600}
    neighbour:
      title: {zh: 忘记结束一次，与下一人重叠, en: one forgotten end}
      tables:
        machine_sessions:
          - {person_id: P1, started_at: "2026-03-04 08:00", ended_at: "2026-03-04 15:00"}
          - {person_id: P2, started_at: "2026-03-04 12:30", ended_at: "2026-03-04 16:30"}
  - title: {zh: 六天都有两人重叠, en: two persons at once on six days}
    tables:
      machine_sessions:
        - {repeat: 6, every_minutes: 1440, person_id: "P{n}", started_at: "2026-03-04 08:00", ended_at: "2026-03-04 12:00"}
        - {repeat: 6, every_minutes: 1440, person_id: "Q{n}", started_at: "2026-03-04 08:30", ended_at: "2026-03-04 12:30"}
    flags: [{institution_id: H1, line_ids: []}]
    neighbour:
      title: {zh: 交接时重叠十分钟, en: ten minutes of overlap when the shift changes}
      tables:
        machine_sessions:
          - {repeat: 6, every_minutes: 1440, person_id: "P{n}", started_at: "2026-03-04 08:00", ended_at: "2026-03-04 12:00"}
          - {repeat: 6, every_minutes: 1440, person_id: "Q{n}", started_at: "2026-03-04 11:50", ended_at: "2026-03-04 15:50"}
*/
WITH named AS (
  SELECT
    institution_id,
    machine_id,
    person_id,
    started_at,
    started_at_day,
    ended_at,
    max(ended_at) OVER (
      PARTITION BY institution_id, machine_id ORDER BY started_at, ended_at, person_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS busy_until
  FROM machine_sessions
  WHERE person_id IS NOT NULL AND started_at_day BETWEEN $from_day - 1 AND $to_day
),
-- most machines are never busy when a run begins: only the others are looked at closely
suspects AS (
  SELECT institution_id, machine_id, row_number() OVER (ORDER BY institution_id, machine_id) AS machine
  FROM (
    SELECT institution_id, machine_id
    FROM named
    WHERE busy_until - started_at > $allowed_minutes * 60000000 AND started_at_day BETWEEN $from_day AND $to_day
    GROUP BY institution_id, machine_id
  ) busy
),
numbered AS (
  SELECT
    s.machine,
    n.*,
    row_number() OVER (PARTITION BY s.machine ORDER BY n.started_at, n.ended_at, n.person_id) AS number
  FROM named n
  JOIN suspects s ON n.institution_id = s.institution_id AND n.machine_id = s.machine_id
),
-- a run and a person by the number of their first row: pairs of runs can be very many, so they are kept narrow
runs AS (
  SELECT
    *,
    min(number) OVER (PARTITION BY machine, person_id) AS person,
    min(number) OVER (PARTITION BY machine, person_id, started_at // 1000000) AS run
  FROM numbered
),
overlaps AS (
  SELECT b.machine, b.run, a.run AS other_run, a.person AS other_person
  FROM runs b
  JOIN runs a
    ON a.machine = b.machine
    AND a.person <> b.person
    AND a.started_at <= b.started_at
    AND a.ended_at > b.started_at + $allowed_minutes * 60000000
  WHERE b.started_at_day BETWEEN $from_day AND $to_day
    AND b.ended_at > b.started_at + $allowed_minutes * 60000000
),
at_start AS (
  SELECT machine, run, count(DISTINCT other_person) + 1 AS at_once
  FROM overlaps
  GROUP BY machine, run
),
habits AS (
  SELECT h.machine, s.institution_id, s.machine_id, h.runs, h.at_once
  FROM (
    SELECT machine, count(*) AS runs, max(at_once) AS at_once
    FROM at_start
    GROUP BY machine
    HAVING max(at_once) >= $fewest_at_once OR count(*) >= $fewest_overlaps
  ) h
  JOIN suspects s ON h.machine = s.machine
),
concerned AS (
  SELECT
    r.institution_id,
    r.machine_id,
    r.person_id,
    r.machine_id || '@' || CAST(r.started_at // 1000000 AS VARCHAR) AS run,
    r.started_at,
    r.ended_at,
    r.started_at_day
  FROM runs r
  SEMI JOIN habits h ON r.machine = h.machine
  SEMI JOIN (
    SELECT machine, run FROM overlaps
    UNION
    SELECT machine, other_run AS run FROM overlaps
  ) o ON r.machine = o.machine AND r.run = o.run
),
billed AS (
  SELECT c.institution_id, c.machine_id, array_agg(DISTINCT l.line_id) AS line_ids
  FROM concerned c
  JOIN dialysis_lines l
    ON c.institution_id = l.institution_id AND c.person_id = l.person_id AND c.started_at_day = l.service_day
  GROUP BY c.institution_id, c.machine_id
),
sums AS (
  SELECT d.institution_id, d.machine_id, sum(d.amount) AS amount
  FROM (
    SELECT DISTINCT c.institution_id, c.machine_id, l.line, l.amount
    FROM concerned c
    JOIN dialysis_lines l
      ON c.institution_id = l.institution_id AND c.person_id = l.person_id AND c.started_at_day = l.service_day
  ) d
  GROUP BY d.institution_id, d.machine_id
),
found AS (
  SELECT
    institution_id,
    machine_id,
    min(started_at) AS from_at,
    max(ended_at) AS to_at,
    array_agg(run) AS evidence,
    count(DISTINCT person_id) AS persons
  FROM concerned
  GROUP BY institution_id, machine_id
)
SELECT
  h.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  coalesce(b.line_ids, CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(s.amount, 0) AS amount,
  f.from_at,
  f.to_at,
  f.evidence,
  h.machine_id,
  h.runs,
  h.at_once,
  f.persons,
  $allowed_minutes AS allowed_minutes
FROM habits h
JOIN found f ON h.institution_id = f.institution_id AND h.machine_id = f.machine_id
LEFT JOIN billed b ON h.institution_id = b.institution_id AND h.machine_id = b.machine_id
LEFT JOIN sums s ON h.institution_id = s.institution_id AND h.machine_id = s.machine_id
