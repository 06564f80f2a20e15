/*
id: line-haemodialysis
version: "1.1"
title: {zh: 血液透析费用核对, en: Haemodialysis lines}
status: stable
produces: line_verdicts
basis: [国务院令第735号 第四十条（虚构医药服务项目、冒名） / State Council Decree 735 art 40]
stage: after
level: high
parameters:
  match_window_hours:
    unit: hours
    meaning: {zh: 费用时间与透析例次允许的间隔, en: "how far a session may lie from the service time of its line"}
    values:
      - {from: 2020-01-01, value: 12, reference: "a line carries one billing time, often the end of the working day"}
  max_session_hours:
    unit: hours
    meaning: {zh: 签到后多久之内的签退属于同一例次, en: "how long after a sign-in a sign-out still belongs to it"}
    values:
      - {from: 2020-01-01, value: 12, reference: "nocturnal dialysis lasts 6 to 10 hours"}
  mid_session_minutes:
    unit: minutes
    meaning: {zh: 签到后多久的在场核验才说明在治疗, en: "how long after the sign-in a presence shows the stay"}
    values:
      - {from: 2020-01-01, value: 60, reference: "default of the audit specification"}
  min_duration_ratio:
    unit: share of the prescribed minutes
    meaning: {zh: 实际时长与医嘱时长之比的下限, en: "the shown duration must reach this share of the prescription"}
    values:
      - {from: 2020-01-01, value: 0.5, reference: "default of the audit specification"}
  min_session_minutes:
    unit: minutes
    meaning: {zh: 没有医嘱时的最短时长, en: "shortest session without a prescription; also, sign-ins closer than this are one"}
    values:
      - {from: 2020-01-01, value: 90, reference: "short daily dialysis lasts 1.5 to 3 hours"}
  elsewhere_margin_minutes:
    unit: minutes
    meaning: {zh: 判断身在他处的时间范围, en: "around the service time, in which being elsewhere counts"}
    values:
      - {from: 2020-01-01, value: 60, reference: "default of the audit specification"}
  coverage_needed:
    unit: share of the window
    meaning: {zh: 据以认定没有来过的设备覆盖率, en: "coverage from which silence means absence"}
    values:
      - {from: 2020-01-01, value: 0.95, reference: "default of the audit specification"}
  coverage_from_hour:
    unit: hour of the local day
    meaning: {zh: 覆盖时段起, en: "begin of the window that must be covered"}
    values:
      - {from: 2020-01-01, value: 5, reference: "default of the audit specification"}
  coverage_to_hour:
    unit: hour of the local day
    meaning: {zh: 覆盖时段止, en: "end of the window that must be covered"}
    values:
      - {from: 2020-01-01, value: 24, reference: "default of the audit specification"}
known_false_positives:
  - {zh: 死亡日期、机构归属登记有误, en: a date of death or an institution that was registered wrongly}
  - {zh: 双胞胎被识别为同一人而出现在他处, en: a twin taken for the person at another institution}
explanation:
  zh: "判定 {verdict}，理由 {reason}，设备覆盖率 {coverage_percent}%。"
  en: "{verdict}: {reason}; devices covered {coverage_percent} % of the window."
examples:
  - title: {zh: 同一例次计费两行, en: two lines for one session}
    tables:
      coverage: [{from_at: "2026-03-04 00:00", to_at: "2026-03-05 00:00"}]
      claim_lines:
        - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00"}
        - {line_id: L2, item_code: HD, service_time: "2026-03-04 15:00"}
      attendance:
        - {event_id: E1, occurred_at: "2026-03-04 08:00"}
        - {event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:00"}
    verdicts: {L1: supported/verified_session, L2: contradicted/more_lines_than_sessions}
    neighbour:
      title: {zh: 透析与灌流共用一个例次, en: haemodialysis and haemoperfusion share a session}
      tables:
        claim_lines:
          - {line_id: L1, item_code: HD, service_time: "2026-03-04 10:00"}
          - {line_id: L2, item_code: HP, service_time: "2026-03-04 15:00"}
      verdicts: {L1: supported/verified_session, L2: supported/verified_session}
  - title: {zh: 没有来过, en: nobody came}
    tables:
      coverage: [{from_at: "2026-03-04 00:00", to_at: "2026-03-05 00:00"}]
      claim_lines: [{line_id: L1, item_code: HD, service_time: "2026-03-04 10:00"}]
    verdicts: {L1: contradicted/no_session}
    neighbour:
      title: {zh: 设备停机一上午, en: the same with the kiosk down all morning}
      tables:
        coverage: [{from_at: "2026-03-04 12:00", to_at: "2026-03-05 00:00"}]
      verdicts: {L1: insufficient/coverage_gap}
*/
-- The verdict on every line of the haemodialysis family, in the order of precedence.
WITH facts AS (
  SELECT
    l.line,
    l.line_id,
    l.institution_id,
    l.amount,
    l.after_death,
    l.needed,
    e.evidence AS elsewhere,
    v.sessions,
    v.weakest_support,
    v.supporting,
    v.failing,
    coalesce(v.sign_in_verified, false) AS sign_in_verified,
    v.evidence AS session_evidence,
    t.evidence AS trace_evidence,
    coalesce(t.shown, 0) AS shown,
    coalesce(t.attempts, 0) AS attempts,
    n.sessions AS choices,
    coalesce(n.same_day, 0) AS sessions_that_day,
    n.evidence AS choice_evidence,
    coalesce(c.covered_us, 0) AS covered_us,
    w.to_us - w.from_us AS window_us,
    coalesce(c.covered_us, 0) * 1000000 >= (w.to_us - w.from_us) * l.coverage_needed_ppm AS covered
  FROM dialysis_lines l
  JOIN windows w ON l.service_day = w.day AND w.purpose = 'dialysis'
  LEFT JOIN dialysis_elsewhere e ON l.line = e.line
  LEFT JOIN served v ON l.line = v.line
  LEFT JOIN open_traces t ON l.line = t.line
  LEFT JOIN choice_counts n ON l.line = n.line
  LEFT JOIN coverage_days c
    ON l.institution_id = c.institution_id AND l.service_day = c.day AND c.purpose = 'dialysis'
  WHERE l.in_period
),
judged AS (
  SELECT
    *,
    CASE
      WHEN after_death THEN 'after_death'
      WHEN elsewhere IS NOT NULL AND NOT sign_in_verified THEN 'elsewhere'
      WHEN supporting >= needed AND weakest_support = 0 THEN 'verified_session'
      WHEN supporting >= needed THEN 'corroborated_manual'
      WHEN failing = 2 THEN 'too_short'
      WHEN sessions IS NULL AND sessions_that_day = 0 AND attempts > 0 AND shown = 0 THEN 'identity_mismatch'
      WHEN failing = 3 THEN 'manual_uncorroborated'
      WHEN failing = 4 THEN 'no_sign_out'
      WHEN failing = 5 THEN 'pad_not_shown'
      WHEN failing = 6 THEN 'clock_untrusted'
      WHEN shown > 0 OR NOT covered THEN 'coverage_gap'
      WHEN sessions IS NOT NULL OR choices IS NOT NULL THEN 'more_lines_than_sessions'
      ELSE 'no_session'
    END AS reason
  FROM facts
)
SELECT
  line,
  line_id,
  institution_id,
  amount,
  CASE
    WHEN reason IN ('verified_session', 'corroborated_manual') THEN 'supported'
    WHEN reason IN ('after_death', 'elsewhere', 'too_short', 'identity_mismatch', 'more_lines_than_sessions', 'no_session')
      THEN 'contradicted'
    ELSE 'insufficient'
  END AS verdict,
  reason,
  CAST(covered_us AS DOUBLE) / CAST(window_us AS DOUBLE) AS coverage_ratio,
  CASE
    WHEN reason IN ('after_death', 'no_session') THEN CAST([] AS VARCHAR[])
    WHEN reason = 'elsewhere' THEN list_sort(elsewhere)
    WHEN reason = 'identity_mismatch' THEN list_sort(trace_evidence)
    WHEN reason = 'more_lines_than_sessions' THEN list_sort(coalesce(choice_evidence, session_evidence))
    WHEN reason = 'coverage_gap' THEN list_sort(list_distinct(list_concat(
      coalesce(trace_evidence, CAST([] AS VARCHAR[])), coalesce(session_evidence, CAST([] AS VARCHAR[]))
    )))
    ELSE list_sort(list_distinct(session_evidence))
  END AS evidence
FROM judged
