/*
id: line-service-point
version: "1.0"
title: {zh: 服务点费用核对, en: Lines of service points}
status: stable
produces: line_verdicts
basis: [国务院令第735号 第四十条（虚构医药服务项目、冒名） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  point_repeat_minutes:
    unit: minutes
    meaning: {zh: 间隔多久之内的重复签到视为同一次, en: "sign-ins at a service point closer than this are one"}
    values:
      - {from: 2020-01-01, value: 10, reference: "第二次尝试通常在几分钟内 / a second try comes within minutes"}
  staff_must_be_shown:
    unit: 0 no; 1 yes
    meaning: {zh: 服务点要求的人员没有显示在场时，费用是否判为证据不足, en: "whether a line is insufficient where the staff that its point asks for were not shown"}
    values:
      - {from: 2020-01-01, value: 1, reference: "由地区决定，可预先公布生效日期 / a region's choice, with an announced date"}
known_false_positives:
  - {zh: 服务点登记的项目、房间或设备有误, en: "an item, a room or a device that was registered wrongly for a service point"}
  - {zh: 门口设备正常而患者未签到，且治疗机没有留下记录, en: a patient who passed a working device at the door unseen and whose treatment no machine logged}
explanation:
  zh: "判定：{verdict}；理由：{reason}；设备覆盖率 {coverage_percent}%。"
  en: "{verdict}: {reason}; devices covered {coverage_percent} % of the window."
examples:
  - title: {zh: 收了脑刺激费，没有进过治疗室, en: brain stimulation of somebody who never entered the room}
    tables:
      service_points: [{item_codes: TMS, device_ids: K1, machine_ids: M1, minimum_minutes: 20}]
      coverage: [{purpose: stimulation, from_at: "2026-03-01 00:00", to_at: "2026-03-06 00:00"}]
      claim_lines: [{line_id: L1, item_code: TMS, service_time: "2026-03-04 10:00"}]
      item_catalogue: [{item_code: TMS, item_class: stimulation, unit: session}]
    verdicts: {L1: contradicted/no_session}
    neighbour:
      title: {zh: 进过治疗室半小时, en: half an hour in the room}
      tables:
        attendance:
          - {event_id: E1, purpose: stimulation, occurred_at: "2026-03-04 09:00"}
          - {event_id: E2, purpose: stimulation, event_type: sign_out, occurred_at: "2026-03-04 09:30"}
      verdicts: {L1: supported/verified_session}
  - title: {zh: 治疗机整日没有运行记录, en: a machine whose log is complete and knows of no run}
    tables:
      service_points: [{item_codes: BFB, machine_ids: M1, log_source: LOG1, minimum_minutes: 20}]
      coverage: [{device_id: LOG1, purpose: stimulation, from_at: "2026-03-01 00:00", to_at: "2026-03-06 00:00"}]
      claim_lines: [{line_id: L1, item_code: BFB, service_time: "2026-03-04 10:00"}]
      item_catalogue: [{item_code: BFB, item_class: stimulation, unit: session}]
    verdicts: {L1: contradicted/no_session}
    neighbour:
      title: {zh: 当日没有读到治疗机日志, en: its log was not read that day}
      tables:
        coverage: [{device_id: LOG1, purpose: stimulation, from_at: "2026-03-01 00:00", to_at: "2026-03-03 00:00"}]
      verdicts: {L1: insufficient/coverage_gap}
*/
-- The verdict on every line of a service point: that of its session, unless staff whom it needs were not shown.
SELECT
  a.line,
  a.line_id,
  h.institution_id,
  a.amount,
  CASE WHEN a.verdict = 'supported' AND s.line IS NOT NULL THEN 'insufficient' ELSE a.verdict END AS verdict,
  CASE WHEN a.verdict = 'supported' AND s.line IS NOT NULL THEN 'staff_not_shown' ELSE a.reason END AS reason,
  a.coverage_ratio,
  a.evidence,
  a.shield
FROM point_answers a
JOIN point_houses h ON a.institution_id = h.place
LEFT JOIN point_staff s ON a.line = s.line
