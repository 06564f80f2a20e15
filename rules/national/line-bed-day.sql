/*
id: line-bed-day
version: "2.0"
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
      - {from: 2020-01-01, value: 0, reference: "稽核规范默认值：整个自然日 / default of the audit specification: the whole local day"}
  bed_day_to_hour:
    unit: hour of the local day
    meaning: {zh: 床日时段止，可超过 24, en: "end of that window; above 24 it reaches into the next morning"}
    values:
      - {from: 2020-01-01, value: 24, reference: "稽核规范默认值：整个自然日 / default of the audit specification: the whole local day"}
  bill_on_leave:
    unit: 0 undecided; 1 may be billed; 2 may not
    meaning: {zh: 整日请假的床位费, en: "whether a bed may be billed on a day wholly on leave"}
    values:
      - {from: 2020-01-01, value: 0, reference: "由地区决定；未定的判为证据不足 / a region's choice; undecided ends as insufficient"}
  longest_examination_hours:
    unit: hours
    meaning: {zh: 外出检查、转科转院最长可计时数, en: how long an examination or a transfer explains an absence}
    values:
      - {from: 2020-01-01, value: 24, reference: "稽核规范默认值 / default of the audit specification"}
  errand_pause_hours:
    unit: hours
    meaning: {zh: 两次外出之间少于此时数视为同一次, en: "an examination or transfer that begins sooner after the one before goes on with it"}
    values:
      - {from: 2020-01-01, value: 8, reference: "在床一夜；否则每天一次检查就能解释一个月 / a night in bed; else one examination a day would explain a month"}
  posting_grace_hours:
    unit: hours
    meaning: {zh: 死亡后补记出院的宽限, en: how long after death a discharge may be written}
    values:
      - {from: 2020-01-01, value: 24, reference: "稽核规范默认值 / default of the audit specification"}
  night_posting_hours:
    unit: hours after midnight
    meaning: {zh: 夜间批量记账的截止时刻, en: "until when a batch writes the bed fees of the day before"}
    values:
      - {from: 2020-01-01, value: 6, reference: "医院系统的批量记账在午夜或稍后，早查房之前 / batches of hospital systems run at or soon after midnight; before the morning round"}
  late_bed_days:
    unit: days
    meaning: {zh: 多日床位费或死亡患者床位费出院后补记的期限, en: "how long after discharge a line of several bed days, or of somebody who died, may be entered"}
    values:
      - {from: 2020-01-01, value: 31, reference: "与透析的晚录天数一致 / as late_billing_days of dialysis"}
  longest_line_days:
    unit: days
    meaning: {zh: 一条明细最多逐日判定的天数, en: how many days of one line are judged one by one}
    values:
      - {from: 2020-01-01, value: 366, reference: "跨年住院在年末结算 / stays over a year are settled at the end of the year"}
known_false_positives:
  - {zh: 请假未登记, en: a leave that was granted and not recorded}
  - {zh: 床旁抽查时正在其他科室治疗, en: a patient under treatment in another department when the bed was checked}
  - {zh: 婴儿床、陪护床记在患者名下且目录归为床位费, en: "a baby's or companion's bed billed under the patient, if the catalogue has it as a bed"}
  - {zh: 前几日漏记的床位费补记在同一天, en: forgotten bed fees of earlier days entered on a day that has its own}
explanation:
  zh: "判定：{verdict}；理由：{reason}；设备覆盖率 {coverage_percent}%。"
  en: "{verdict}: {reason}; devices covered {coverage_percent} % of the window."
examples:
  - title: {zh: 床旁抽查不在, en: absent at a spot check}
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
  - title: {zh: 同一床日收取两次, en: one bed day billed twice}
    tables:
      stays:
        - {visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-08 10:00"}
        - {visit_id: V2, institution_id: H2, admitted_at: "2026-03-01 17:00"}
      claim_lines:
        - {line_id: L1, visit_id: V1, item_code: BED, service_time: "2026-03-04 08:00"}
        - {line_id: L2, institution_id: H2, visit_id: V2, item_code: BED, service_time: "2026-03-04 18:00"}
    verdicts: {L1: insufficient/not_seen, L2: contradicted/bed_billed_twice}
    neighbour:
      title: {zh: 转院当日, en: on the day of a transfer}
      tables:
        stays:
          - {visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-04 10:00"}
          - {visit_id: V2, institution_id: H2, admitted_at: "2026-03-04 17:00"}
      verdicts: {L1: insufficient/not_seen, L2: insufficient/not_seen}
  - title: {zh: 一条明细三个床日，其中一日不在, en: "three days in one line, absent on one of them"}
    tables:
      stays: [{visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-08 10:00"}]
      claim_lines: [{line_id: L1, visit_id: V1, item_code: BED, service_time: "2026-03-04 08:00", quantity: 3}]
      spot_checks: [{check_id: C1, visit_id: V1, drawn_at: "2026-03-02 10:00", result: absent}]
    verdicts: {L1: contradicted/absent_at_check}
    neighbour:
      title: {zh: 当日外出检查, en: on an examination that day}
      tables:
        leaves: [{visit_id: V1, kind: examination, left_at: "2026-03-02 09:00", returned_at: "2026-03-02 12:00"}]
      verdicts: {L1: insufficient/not_seen}
*/
-- The verdict on every day of every bed line, in the order of precedence.
WITH judged AS (
  SELECT
    b.line,
    b.line_id,
    b.inpatient,
    b.institution_id,
    b.amount,
    b.days,
    b.share,
    b.day,
    d.bill_on_leave,
    coalesce(c.covered_us, 0) AS covered_us,
    d.to_us - d.from_us AS window_us,
    s.evidence AS seen,
    t.evidence AS kept,
    a.evidence AS absent,
    e.evidence AS errand,
    x.evidence AS elsewhere,
    u.evidence AS unexplained,
    h.line IS NOT NULL AS shielded,
    CASE
      WHEN b.day > b.death_date THEN 'after_death'
      WHEN t.line IS NOT NULL THEN 'bed_billed_twice'
      WHEN a.line IS NOT NULL THEN 'absent_at_check'
      WHEN s.evidence IS NOT NULL THEN 'seen'
      WHEN o.line IS NOT NULL THEN 'outside_stay'
      WHEN e.line IS NOT NULL AND u.line IS NULL AND x.line IS NULL THEN 'approved_leave'
      WHEN e.line IS NOT NULL THEN 'unexplained_absence'
      WHEN v.line IS NOT NULL THEN 'on_leave'
      WHEN x.line IS NOT NULL THEN 'elsewhere'
      WHEN u.line IS NOT NULL THEN 'unexplained_absence'
      ELSE 'not_seen'
    END AS found
  FROM bed_parts b
  JOIN bed_calendar d ON b.day = d.day
  LEFT JOIN bed_sightings s ON b.inpatient = s.inpatient AND b.day = s.day
  LEFT JOIN bed_twice t ON b.line = t.line AND b.billed_day = t.day
  LEFT JOIN bed_outside o ON b.line = o.line AND b.day = o.day
  LEFT JOIN bed_absent a ON b.line = a.line AND b.day = a.day
  LEFT JOIN bed_errands e ON b.line = e.line AND b.day = e.day
  LEFT JOIN bed_unexplained u ON b.line = u.line AND b.day = u.day
  LEFT JOIN bed_on_leave v ON b.line = v.line AND b.day = v.day
  LEFT JOIN bed_elsewhere x ON b.line = x.line AND b.day = x.day
  LEFT JOIN bed_shields h ON b.line = h.line AND b.day = h.day
  LEFT JOIN bed_coverage c ON b.institution_id = c.institution_id AND b.day = c.day
),
answered AS (
  SELECT
    *,
    CASE
      WHEN shielded AND found IN ('absent_at_check', 'outside_stay', 'elsewhere') THEN 'broken_row'
      ELSE found
    END AS reason
  FROM judged
)
SELECT
  line,
  line_id,
  inpatient,
  institution_id,
  amount,
  days,
  share,
  day,
  CASE
    WHEN reason IN ('after_death', 'bed_billed_twice', 'absent_at_check', 'outside_stay', 'elsewhere') THEN 'contradicted'
    WHEN reason IN ('seen', 'approved_leave') THEN 'supported'
    WHEN reason = 'on_leave' AND bill_on_leave = 1 THEN 'supported'
    WHEN reason = 'on_leave' AND bill_on_leave = 2 THEN 'contradicted'
    ELSE 'insufficient'
  END AS verdict,
  reason,
  covered_us,
  window_us,
  CASE
    WHEN reason = 'seen' THEN [seen]
    WHEN reason = 'bed_billed_twice' THEN [kept]
    WHEN reason = 'absent_at_check' THEN list_sort(absent)
    WHEN reason = 'approved_leave' THEN list_sort(errand)
    WHEN reason = 'elsewhere' THEN list_sort(elsewhere)
    WHEN reason = 'unexplained_absence' AND unexplained IS NOT NULL THEN list_sort(unexplained)
    WHEN reason = 'unexplained_absence' THEN list_sort(elsewhere)
    ELSE CAST([] AS VARCHAR[])
  END AS evidence
FROM answered
