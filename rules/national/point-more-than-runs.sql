/*
id: point-more-than-runs
version: "1.0"
title: {zh: 收费次数远多于治疗机运行次数, en: More sessions billed than the machine ran}
status: stable
basis: [国务院令第735号 第四十条（虚构医药服务项目） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  earlier_days:
    unit: days
    meaning: {zh: 往前多少天的运行也计入, en: "runs of so many days before the period count too: fees may be late"}
    values:
      - {from: 2020-01-01, value: 31, reference: "与补录天数一致 / as long as a fee may be late"}
  spare_share:
    unit: share
    meaning: {zh: 允许多出运行次数的比例, en: "how far above the runs the sessions may be"}
    values:
      - {from: 2020-01-01, value: 0.2, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  spare_sessions:
    unit: sessions
    meaning: {zh: 总是允许多出的次数, en: "how many sessions above the runs are always allowed"}
    values:
      - {from: 2020-01-01, value: 5, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  log_needed:
    unit: share of the period
    meaning: {zh: 期间内日志须读到的比例, en: "share of the period of which every log must have been read"}
    values:
      - {from: 2020-01-01, value: 0.95, reference: "与设备覆盖率的要求一致 / as for the coverage of devices"}
known_false_positives:
  - {zh: 一次运行同时治疗几人, en: one run that treats several people at once}
  - {zh: 新增治疗机尚未登记到服务点, en: a machine that was added and is not yet in the register}
explanation:
  zh: "{institution_id} 期间收费 {item_code} {sessions} 次，登记的治疗机连同之前 {earlier_days} 天只运行 {runs} 次，而日志是完整的。运行记录未写患者时，无法说出是哪几条，所以单条费用判为证据不足。"
  en: "{institution_id} billed {sessions} session(s) of {item_code}; the machines registered for them ran {runs} time(s), those of {earlier_days} days before included, and their log is complete. Where runs name nobody, nothing tells which lines are the ones, so each of them is insufficient."
examples:
  - title: {zh: 收费 40 次，运行 3 次, en: forty sessions and three runs}
    tables:
      service_points: [{item_codes: BFB, machine_ids: M1, log_source: LOG1, minimum_minutes: 20}]
      item_catalogue: [{item_code: BFB, item_class: stimulation, unit: session}]
      coverage: [{device_id: LOG1, purpose: stimulation, from_at: "2026-01-01 00:00", to_at: "2026-05-01 00:00"}]
      claim_lines: [{repeat: 40, every_minutes: 5, line_id: "L{n}", person_id: "P{n}", item_code: BFB, service_time: "2026-03-04 09:00", amount: 30}]
      machine_sessions: [{repeat: 3, every_minutes: 60, started_at: "2026-03-04 09:00", ended_at: "2026-03-04 09:25"}]
    flags:
      - {institution_id: H1, amount: 1200}
    neighbour:
      title: {zh: 日志没有读全, en: a log that was not read}
      tables:
        coverage: [{device_id: LOG1, purpose: stimulation, from_at: "2026-01-01 00:00", to_at: "2026-03-01 00:00"}]
  - title: {zh: 收费 40 次，运行 3 次，机器共用, en: the same where two rooms share the machine}
    tables:
      service_points:
        - {item_codes: BFB, machine_ids: M1, log_source: LOG1, minimum_minutes: 20}
        - {point_id: S2, kind: rehabilitation, item_codes: OT, machine_ids: M1, log_source: LOG2, minimum_minutes: 20}
      item_catalogue:
        - {item_code: BFB, item_class: stimulation, unit: session}
        - {item_code: OT, item_class: rehabilitation, unit: session}
      coverage: [{device_id: LOG1, purpose: stimulation, from_at: "2026-01-01 00:00", to_at: "2026-05-01 00:00"}]
      claim_lines: [{repeat: 40, every_minutes: 5, line_id: "L{n}", person_id: "P{n}", item_code: BFB, service_time: "2026-03-04 09:00", amount: 30}]
      machine_sessions: [{repeat: 3, every_minutes: 60, started_at: "2026-03-04 09:00", ended_at: "2026-03-04 09:25"}]
    flags:
      - {institution_id: H1, amount: 1200}
    neighbour:
      title: {zh: 每次都运行过, en: a run for each}
      tables:
        machine_sessions: [{repeat: 40, every_minutes: 30, started_at: "2026-03-03 09:00", ended_at: "2026-03-03 09:25"}]
*/
-- Code by code, for several may share a run. Of places at which every point of the place names a log, and no visit without an end is billed. Quantities count as
-- whole sessions, parts of a body and hours as one.
WITH logged AS (
  SELECT place, institution_id, element, device_id, kind
  FROM point_watchers
  WHERE element LIKE '% log'
),
read_days AS (
  SELECT
    l.place,
    l.element,
    sum(
      greatest(0, least(c.to_at_local, ($to_day + 1) * 86400000000) - greatest(c.from_at_local, $from_day * 86400000000))
    ) AS read_us
  FROM logged l
  JOIN coverage c
    ON l.institution_id = c.institution_id AND l.device_id = c.device_id AND l.kind = c.purpose
  WHERE c.state = 'up'
  GROUP BY l.place, l.element
),
unread AS (
  SELECT DISTINCT l.place
  FROM logged l
  LEFT JOIN read_days r ON l.place = r.place AND l.element = r.element
  WHERE coalesce(r.read_us, 0) < ($to_day - $from_day + 1) * 86400000000 * $log_needed
  UNION
  SELECT w.place
  FROM point_items w
  ANTI JOIN logged l ON w.place = l.place AND l.element = w.point_id || ' log'
),
billed AS (
  SELECT
    h.institution_id,
    l.institution_id AS place,
    l.item_class AS item_code,
    array_agg(l.line_id) AS line_ids,
    sum(l.amount) AS amount,
    min(l.service_time) AS from_at,
    max(l.service_time) AS to_at,
    CAST(sum(CASE WHEN l.item_unit IN ('part', 'hour') THEN 1 ELSE greatest(1, floor(l.quantity)) END) AS BIGINT) AS sessions
  FROM point_scope l
  JOIN point_houses h ON l.institution_id = h.place
  ANTI JOIN unread u ON l.institution_id = u.place
  WHERE h.one_visit = 0 AND l.service_day BETWEEN $from_day AND $to_day
  GROUP BY h.institution_id, l.institution_id, l.item_class
),
ran AS (
  SELECT institution_id AS place, count(*) AS runs
  FROM point_machine_sessions
  WHERE started_at_day BETWEEN $from_day - $earlier_days AND $to_day
  GROUP BY institution_id
)
SELECT
  b.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  b.line_ids,
  b.amount,
  b.from_at,
  b.to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  b.sessions,
  b.item_code,
  coalesce(r.runs, 0) AS runs,
  $earlier_days AS earlier_days
FROM billed b
LEFT JOIN ran r ON b.place = r.place
WHERE b.sessions > coalesce(r.runs, 0) * (1 + $spare_share) + $spare_sessions
