/*
id: point-doctor-elsewhere
version: "1.0"
title: {zh: 开单医师在治疗时身在他处, en: The doctor was elsewhere during the treatment}
status: stable
basis: [国务院令第735号 第三十八条 / State Council Decree 735 art 38]
stage: after
level: medium
parameters:
  near_minutes:
    unit: minutes
    meaning: {zh: 治疗前后多久内在本机构出现即视为在场, en: "a sign-in at the institution so long before or after the treatment clears the doctor"}
    values:
      - {from: 2020-01-01, value: 120, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 他人代录费用时选错医师, en: "another doctor's number chosen by whoever entered the fee"}
  - {zh: 远程会诊, en: a consultation at a distance}
explanation:
  zh: "{institution_id} 有 {lines} 条须由医师在场的费用、{amount} 元记在 {doctor_id} 名下，而治疗时该医师显示在其他机构、休假或住院。"
  en: "{institution_id} billed {lines} line(s), {amount} yuan, that need a doctor, under {doctor_id}, who was shown at another institution, on leave or an inpatient during the treatment."
examples:
  - title: {zh: 治疗时在另一家机构, en: at another institution during the treatment}
    tables:
      service_points: [{item_codes: TMS, device_ids: K1, minimum_minutes: 20, staff_needed: doctor}]
      item_catalogue: [{item_code: TMS, item_class: stimulation, unit: session}]
      claim_lines: [{line_id: L1, item_code: TMS, doctor_id: D1, service_time: "2026-03-04 17:00", amount: 400}]
      attendance:
        - {event_id: E1, purpose: stimulation, occurred_at: "2026-03-04 09:00"}
        - {event_id: E2, purpose: stimulation, event_type: sign_out, occurred_at: "2026-03-04 09:30"}
      staff_presence:
        - {presence_id: A1, institution_id: H2, from_at: "2026-03-04 08:00", to_at: "2026-03-04 12:00"}
    flags:
      - {institution_id: H1, line_ids: [L1], amount: 400}
    neighbour:
      title: {zh: 下夜班，治疗结束后去了另一家机构, en: "night duty here, at the other institution only after the treatment"}
      tables:
        staff_presence:
          - {presence_id: A1, institution_id: H2, from_at: "2026-03-04 09:20", to_at: "2026-03-04 12:00"}
          - {presence_id: A2, institution_id: H1, from_at: "2026-03-03 20:00", to_at: "2026-03-04 08:00"}
  - title: {zh: 休假当日, en: on leave}
    tables:
      service_points: [{item_codes: TMS, device_ids: K1, minimum_minutes: 20, staff_needed: doctor}]
      item_catalogue: [{item_code: TMS, item_class: stimulation, unit: session}]
      claim_lines: [{line_id: L1, item_code: TMS, doctor_id: D1, service_time: "2026-03-04 17:00", amount: 400}]
      attendance:
        - {event_id: E1, purpose: stimulation, occurred_at: "2026-03-04 09:00"}
        - {event_id: E2, purpose: stimulation, event_type: sign_out, occurred_at: "2026-03-04 09:30"}
      staff_presence:
        - {presence_id: A1, state: leave, from_at: "2026-03-04 00:00", to_at: "2026-03-05 00:00"}
    flags:
      - {institution_id: H1, line_ids: [L1], amount: 400}
    neighbour:
      title: {zh: 休假中回来上了半天班, en: back at work for the morning}
      tables:
        staff_presence:
          - {presence_id: A1, state: leave, from_at: "2026-03-04 00:00", to_at: "2026-03-05 00:00"}
          - {presence_id: A2, from_at: "2026-03-04 08:30", to_at: "2026-03-04 12:00"}
*/
-- By the time of the treatment, never by that of the fee; and only where every point of the item asks for a doctor.
WITH needing AS (
  SELECT l.line
  FROM point_scope l
  JOIN point_items i
    ON l.institution_id = i.place
    AND l.service_day BETWEEN i.from_day AND i.to_day
    AND (l.item_class = i.item_code OR l.catalogue_class = i.item_class)
  WHERE l.service_day BETWEEN $from_day AND $to_day AND l.doctor_id IS NOT NULL
  GROUP BY l.line
  HAVING min(i.doctor_needed) = 1
),
treated AS (
  SELECT
    l.line,
    l.line_id,
    h.institution_id,
    l.amount,
    l.doctor_id,
    s.first_day,
    s.last_day,
    s.signed_in_at AS began_at,
    greatest(s.signed_in_at, s.ended_at) AS ended_at
  FROM point_scope l
  SEMI JOIN needing n ON l.line = n.line
  JOIN point_houses h ON l.institution_id = h.place
  JOIN point_assigned a ON l.line = a.line
  JOIN point_sessions s ON a.session = s.session
  WHERE s.clock_trusted
),
numbered AS (
  SELECT DISTINCT staff_id, person_id FROM staff_presence WHERE person_id IS NOT NULL
),
away AS (
  SELECT t.line, p.presence_id AS evidence
  FROM treated t
  JOIN staff_presence p
    ON t.doctor_id = p.staff_id
    AND p.from_at <= t.began_at
    AND p.to_at >= t.ended_at
  WHERE p.state = 'leave'
    OR (
      p.institution_id <> t.institution_id AND p.shown_by IN ('face', 'passkey') AND p.clock_trusted
    )
  UNION
  SELECT t.line, s.visit_id AS evidence
  FROM treated t
  JOIN numbered n ON t.doctor_id = n.staff_id
  JOIN stays s
    ON n.person_id = s.person_id
    AND s.admitted_at_day < t.first_day
    AND (s.discharged_at IS NULL OR s.discharged_at_day > t.last_day)
),
here AS (
  SELECT DISTINCT t.line
  FROM treated t
  JOIN staff_presence p
    ON t.doctor_id = p.staff_id
    AND t.institution_id = p.institution_id
    AND p.from_at <= t.ended_at + $near_minutes * 60000000
    AND coalesce(p.to_at, p.from_at + 43200000000) >= t.began_at - $near_minutes * 60000000
  WHERE p.state = 'present'
),
found AS (
  SELECT a.line, min(a.evidence) AS evidence
  FROM away a
  ANTI JOIN here h ON a.line = h.line
  GROUP BY a.line
),
lines AS (
  SELECT
    t.line,
    t.line_id,
    t.institution_id,
    t.doctor_id,
    t.amount,
    min(t.began_at) AS began_at,
    max(t.ended_at) AS ended_at,
    min(f.evidence) AS shown
  FROM treated t
  JOIN found f ON t.line = f.line
  GROUP BY t.line, t.line_id, t.institution_id, t.doctor_id, t.amount
)
SELECT
  institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  array_agg(line_id) AS line_ids,
  sum(amount) AS amount,
  min(began_at) AS from_at,
  max(ended_at) AS to_at,
  array_agg(DISTINCT shown) AS evidence,
  doctor_id,
  count(*) AS lines
FROM lines
GROUP BY institution_id, doctor_id
