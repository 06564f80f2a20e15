/*
id: line-bed-day
version: "1.1"
title: {zh: 床位费核对, en: Bed days}
status: stable
produces: line_verdicts
basis: [国务院令第735号 第三十八条（挂床住院） / State Council Decree 735 art 38]
stage: after
level: high
parameters:
  bed_day_from_hour:
    unit: hour of the local day
    meaning: {zh: 床日时段起, en: "begin of the window that is the day of a bed line"}
    values:
      - {from: 2020-01-01, value: 0, reference: "default of the audit specification: the whole local day"}
  bed_day_to_hour:
    unit: hour of the local day
    meaning: {zh: 床日时段止，可超过 24, en: "end of that window; above 24 it reaches into the next morning"}
    values:
      - {from: 2020-01-01, value: 24, reference: "default of the audit specification: the whole local day"}
  bill_on_leave:
    unit: 0 undecided; 1 may be billed; 2 may not
    meaning: {zh: 整日请假的床位费, en: "whether a bed may be billed on a day wholly on leave"}
    values:
      - {from: 2020-01-01, value: 0, reference: "a region's choice; undecided ends as insufficient"}
known_false_positives:
  - {zh: 请假未登记, en: a leave that was granted and not recorded}
  - {zh: 查床时正在其他科室治疗, en: a patient under treatment in another department when the bed was checked}
explanation:
  zh: "判定 {verdict}，理由 {reason}，设备覆盖率 {coverage_percent}%。"
  en: "{verdict}: {reason}; devices covered {coverage_percent} % of the window."
examples:
  - title: {zh: 查床不在, en: absent at a spot check}
    tables:
      stays: [{visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-08 10:00"}]
      claim_lines: [{line_id: L1, visit_id: V1, item_code: BED, service_time: "2026-03-04 08:00"}]
      spot_checks: [{check_id: C1, visit_id: V1, drawn_at: "2026-03-04 10:00", result: absent}]
    verdicts: {L1: contradicted/absent_at_check}
    neighbour:
      title: {zh: 外出检查已登记, en: out on a recorded examination}
      tables:
        leaves: [{visit_id: V1, kind: examination, left_at: "2026-03-04 09:00", returned_at: "2026-03-04 12:00"}]
      verdicts: {L1: supported/approved_leave}
  - title: {zh: 住院期外的床位费, en: a bed billed after discharge}
    tables:
      stays: [{visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-03 10:00"}]
      claim_lines: [{line_id: L1, visit_id: V1, item_code: BED, service_time: "2026-03-04 08:00"}]
    verdicts: {L1: contradicted/outside_stay}
    neighbour:
      title: {zh: 出院当日, en: on the day of discharge}
      tables:
        stays: [{visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-04 10:00"}]
      verdicts: {L1: insufficient/not_seen}
*/
-- The verdict on every bed-day line, in the order of precedence.
WITH judged AS (
  SELECT
    l.line,
    l.line_id,
    l.institution_id,
    l.amount,
    d.bill_on_leave,
    coalesce(c.covered_us, 0) AS covered_us,
    l.to_local - l.from_local AS window_us,
    s.evidence AS seen,
    a.evidence AS absent,
    e.evidence AS errand,
    x.evidence AS elsewhere,
    CASE
      WHEN l.after_death THEN 'after_death'
      WHEN o.line IS NOT NULL THEN 'outside_stay'
      WHEN a.line IS NOT NULL THEN 'absent_at_check'
      WHEN s.evidence IS NOT NULL THEN 'seen'
      WHEN e.line IS NOT NULL THEN 'approved_leave'
      WHEN v.line IS NOT NULL THEN 'on_leave'
      WHEN x.line IS NOT NULL THEN 'elsewhere'
      ELSE 'not_seen'
    END AS reason
  FROM bed_lines l
  JOIN days d ON l.service_day = d.day
  LEFT JOIN bed_sightings s ON l.inpatient = s.inpatient AND l.service_day = s.day
  LEFT JOIN bed_outside o ON l.line = o.line
  LEFT JOIN bed_absent a ON l.line = a.line
  LEFT JOIN bed_errands e ON l.line = e.line
  LEFT JOIN bed_on_leave v ON l.line = v.line
  LEFT JOIN bed_elsewhere x ON l.line = x.line
  LEFT JOIN coverage_days c
    ON l.institution_id = c.institution_id AND l.service_day = c.day AND c.purpose = 'inpatient'
)
SELECT
  line,
  line_id,
  institution_id,
  amount,
  CASE
    WHEN reason IN ('after_death', 'outside_stay', 'absent_at_check', 'elsewhere') THEN 'contradicted'
    WHEN reason IN ('seen', 'approved_leave') THEN 'supported'
    WHEN reason = 'on_leave' AND bill_on_leave = 1 THEN 'supported'
    WHEN reason = 'on_leave' AND bill_on_leave = 2 THEN 'contradicted'
    ELSE 'insufficient'
  END AS verdict,
  reason,
  CAST(covered_us AS DOUBLE) / CAST(window_us AS DOUBLE) AS coverage_ratio,
  CASE
    WHEN reason = 'seen' THEN [seen]
    WHEN reason = 'absent_at_check' THEN list_sort(absent)
    WHEN reason = 'approved_leave' THEN list_sort(errand)
    WHEN reason = 'elsewhere' THEN list_sort(elsewhere)
    ELSE CAST([] AS VARCHAR[])
  END AS evidence
FROM judged
