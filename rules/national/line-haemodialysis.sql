/*
id: line-haemodialysis
version: "2.0"
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
      - {from: 2020-01-01, value: 12, reference: "一条费用只有一个计费时间，常为下班时 / a line carries one billing time, often the end of the working day"}
  max_session_hours:
    unit: hours
    meaning: {zh: 签到后多久之内的签退属于同一例次, en: "how long after a sign-in a sign-out still belongs to it"}
    values:
      - {from: 2020-01-01, value: 12, reference: "夜间长时透析每次 6 至 10 小时 / nocturnal dialysis lasts 6 to 10 hours"}
  mid_session_minutes:
    unit: minutes
    meaning: {zh: 签到后多久的在场核验才说明在治疗, en: "how long after the sign-in a presence shows the stay"}
    values:
      - {from: 2020-01-01, value: 60, reference: "稽核规范默认值 / default of the audit specification"}
  min_duration_ratio:
    unit: share of the prescribed minutes
    meaning: {zh: 实际时长与处方时长之比的下限, en: "the shown duration must reach this share of the prescription"}
    values:
      - {from: 2020-01-01, value: 0.5, reference: "稽核规范默认值 / default of the audit specification"}
  min_session_minutes:
    unit: minutes
    meaning: {zh: 没有处方时的最短时长, en: "shortest session without a prescription; also, sign-ins closer than this are one"}
    values:
      - {from: 2020-01-01, value: 90, reference: "短时每日透析每次 1.5 至 3 小时 / short daily dialysis lasts 1.5 to 3 hours"}
  elsewhere_margin_minutes:
    unit: minutes
    meaning: {zh: 判断身在他处的时间范围, en: "around the service time, in which being elsewhere counts"}
    values:
      - {from: 2020-01-01, value: 60, reference: "稽核规范默认值 / default of the audit specification"}
  coverage_needed:
    unit: share of the window
    meaning: {zh: 据以认定没有来过的设备覆盖率, en: "coverage from which silence means absence"}
    values:
      - {from: 2020-01-01, value: 0.95, reference: "稽核规范默认值 / default of the audit specification"}
  coverage_from_hour:
    unit: hour of the local day
    meaning: {zh: 覆盖时段起, en: "begin of the window that must be covered"}
    values:
      - {from: 2020-01-01, value: 5, reference: "稽核规范默认值 / default of the audit specification"}
  coverage_to_hour:
    unit: hour of the local day
    meaning: {zh: 覆盖时段止, en: "end of the window that must be covered"}
    values:
      - {from: 2020-01-01, value: 24, reference: "稽核规范默认值 / default of the audit specification"}
  late_billing_days:
    unit: days
    meaning: {zh: 费用补录、合并计费可追溯的天数, en: "how long after a session its fee may be entered, alone or in a bundle"}
    values:
      - {from: 2020-01-01, value: 31, reference: "稽核规范默认值：一个月合并记账 / default of the audit specification: a month's bundle"}
  late_entry_days:
    unit: days
    meaning: {zh: 单笔费用补录时核对设备停机的天数, en: "how many days before a single fee an outage may hide its session"}
    values:
      - {from: 2020-01-01, value: 3, reference: "晚录的费用多在三天之内录入 / fees that are entered late are mostly entered within three days"}
  posting_grace_hours:
    unit: hours
    meaning: {zh: 死亡当日结束后批量入账的宽限, en: "how long after the day of death a treatment may still end in the records"}
    values:
      - {from: 2020-01-01, value: 24, reference: "稽核规范默认值：批量记账在午夜之后 / default of the audit specification: batches run after midnight"}
  resume_minutes:
    unit: minutes
    meaning: {zh: 签退后再次签到视为同一例次的间隔, en: "a sign-in so soon after a sign-out goes on with the session"}
    values:
      - {from: 2020-01-01, value: 30, reference: "稽核规范默认值 / default of the audit specification"}
  min_prescribed_minutes:
    unit: minutes
    meaning: {zh: 处方时长低于此值按此值计, en: "a shorter prescription counts as this"}
    values:
      - {from: 2020-01-01, value: 60, reference: "稽核规范默认值 / default of the audit specification"}
  inpatients_sign_in:
    unit: 0 no; 1 yes
    meaning: {zh: 住院患者是否也在透析室签到, en: "whether inpatients sign in at the dialysis kiosk as well"}
    values:
      - {from: 2020-01-01, value: 0, reference: "由地区决定；透析可能在床旁进行 / a region's choice; dialysis may come to the bed"}
  shield_attempts:
    unit: lines a person a month
    meaning: {zh: 未采集到人脸的签到每人每月最多可保留的费用条数, en: "how many lines attempts without a picture keep from being refuted"}
    values:
      - {from: 2020-01-01, value: 2, reference: "稽核规范默认值 / default of the audit specification"}
  hospital_log_corroborates:
    unit: 0 no; 1 yes
    meaning: {zh: 医院自行上传的机器日志能否佐证人工见证签到, en: "whether a machine log that the hospital wrote corroborates a witness"}
    values:
      - {from: 2020-01-01, value: 1, reference: "由地区决定 / a region's choice"}
known_false_positives:
  - {zh: 死亡日期、机构归属登记有误, en: a date of death or an institution that was registered wrongly}
  - {zh: 双胞胎被识别为同一人而出现在他处, en: a twin taken for the person at another institution}
explanation:
  zh: "判定：{verdict}；理由：{reason}；设备覆盖率 {coverage_percent}%。"
  en: "{verdict}: {reason}; devices covered {coverage_percent} % of the window."
examples:
  - title: {zh: 同一例次计费两条, en: two lines for one session}
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
  - title: {zh: 一次计费三例次，只有两例次, en: three sessions billed at once and two held}
    tables:
      coverage: [{from_at: "2026-02-01 00:00", to_at: "2026-03-13 00:00"}]
      claim_lines: [{line_id: L1, item_code: HD, quantity: 3, service_time: "2026-03-11 17:00"}]
      attendance:
        - {event_id: E1, occurred_at: "2026-03-04 08:00"}
        - {event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:00"}
        - {event_id: E3, occurred_at: "2026-03-06 08:00"}
        - {event_id: E4, event_type: sign_out, occurred_at: "2026-03-06 12:00"}
    verdicts: {L1: contradicted/more_lines_than_sessions}
    neighbour:
      title: {zh: 三例次都在, en: all three were held}
      tables:
        attendance:
          - {event_id: E1, occurred_at: "2026-03-04 08:00"}
          - {event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:00"}
          - {event_id: E3, occurred_at: "2026-03-06 08:00"}
          - {event_id: E4, event_type: sign_out, occurred_at: "2026-03-06 12:00"}
          - {event_id: E5, occurred_at: "2026-03-09 08:00"}
          - {event_id: E6, event_type: sign_out, occurred_at: "2026-03-09 12:00"}
      verdicts: {L1: supported/billed_late}
*/
-- The verdict on every line of the haemodialysis family, in the order of precedence.
WITH facts AS (
  SELECT
    l.line,
    l.line_id,
    l.institution_id,
    l.amount,
    l.needed,
    l.hours_us,
    e.evidence AS elsewhere,
    v.sessions,
    coalesce(v.supporting, 0) AS supporting,
    v.weakest_support,
    coalesce(v.failing, h.failing) AS failing,
    coalesce(n.sessions, 0) AS late_sessions,
    coalesce(n.supporting, 0) AS late_supporting,
    coalesce(h.used_us, 0) AS used_us,
    h.weakest_support AS hours_support,
    coalesce(h.late, 0) AS hours_late,
    CASE
      WHEN n.line IS NULL AND h.line IS NULL THEN v.evidence
      ELSE list_concat(
        coalesce(v.evidence, CAST([] AS VARCHAR[])),
        list_concat(coalesce(n.evidence, CAST([] AS VARCHAR[])), coalesce(h.evidence, CAST([] AS VARCHAR[])))
      )
    END AS session_evidence,
    n.line IS NULL AND h.line IS NULL AND v.sessions = 1 AS one_session,
    t.evidence AS trace_evidence,
    coalesce(t.shown, 0) AS shown,
    coalesce(t.attempts, 0) AS attempts,
    coalesce(t.shown, 0) + coalesce(t.runs, 0) + coalesce(t.not_acquired, 0) + coalesce(t.weak, 0) AS other_traces,
    k.evidence AS choice_evidence,
    coalesce(k.sessions, 0) AS choices,
    coalesce(k.same_day, 0) AS sessions_that_day,
    s.shield,
    x.excuse,
    l.dead AND v.line IS NULL AND n.line IS NULL AND h.line IS NULL AND x.excuse IS NULL AS after_death,
    i.line IS NOT NULL OR coalesce(x.excuse = 'stay', false) AS bedside,
    coalesce(c.covered_us, 0) AS covered_us,
    w.to_us - w.from_us AS window_us,
    CASE
      WHEN b.line IS NOT NULL THEN b.uncovered_days < l.needed - coalesce(v.sessions, 0) - coalesce(n.sessions, 0)
      ELSE d.day IS NOT NULL
        AND coalesce(y.dark_days, 0) < l.needed - coalesce(v.sessions, 0) - coalesce(n.sessions, 0)
    END AS covered
  FROM dialysis_lines l
  JOIN windows w ON l.service_day = w.day AND w.purpose = 'dialysis'
  LEFT JOIN dialysis_elsewhere e ON l.line = e.line
  LEFT JOIN served v ON l.line = v.line
  LEFT JOIN late_served n ON l.line = n.line
  LEFT JOIN hours_served h ON l.line = h.line
  LEFT JOIN open_traces t ON l.line = t.line
  LEFT JOIN choice_counts k ON l.line = k.line
  LEFT JOIN shields s ON l.line = s.line
  LEFT JOIN death_excuses x ON l.line = x.line
  LEFT JOIN dialysis_inpatients i ON l.line = i.line
  LEFT JOIN coverage_days c
    ON l.institution_id = c.institution_id AND l.service_day = c.day AND c.purpose = 'dialysis'
  LEFT JOIN watched_days d ON l.institution_id = d.institution_id AND l.service_day = d.day
  LEFT JOIN bundle_coverage b ON l.line = b.line
  LEFT JOIN late_entry_coverage y ON l.line = y.line
  WHERE l.in_period
),
reckoned AS (
  SELECT
    *,
    CASE
      WHEN hours_us IS NULL THEN supporting >= needed
      ELSE used_us >= hours_us AND hours_late = 0
    END AS carried,
    CASE
      WHEN hours_us IS NULL THEN late_sessions > 0 AND supporting + late_supporting >= needed
      ELSE used_us >= hours_us
    END AS carried_late,
    hours_us IS NULL AND late_sessions > 0 AND coalesce(sessions, 0) + late_sessions >= needed AS served_late,
    coalesce(sessions, 0) + late_sessions = 0 AND used_us = 0 AND failing IS NULL AS bare
  FROM facts
),
judged AS (
  SELECT
    *,
    CASE
      WHEN after_death THEN 'after_death'
      WHEN elsewhere IS NOT NULL THEN 'elsewhere'
      WHEN carried AND coalesce(weakest_support, hours_support) = 0 THEN 'verified_session'
      WHEN carried THEN 'corroborated_manual'
      WHEN failing = 2 AND NOT served_late THEN 'too_short'
      WHEN carried_late THEN 'billed_late'
      WHEN served_late THEN 'other_day'
      WHEN bare AND sessions_that_day = 0 AND attempts > 0 AND other_traces = 0
        THEN CASE WHEN shield = 'broken_row' THEN 'broken_row' ELSE 'identity_mismatch' END
      WHEN failing = 3 THEN 'manual_uncorroborated'
      WHEN failing = 4 THEN 'no_sign_out'
      WHEN failing = 5 THEN 'pad_not_shown'
      WHEN failing = 6 THEN 'clock_untrusted'
      WHEN bedside THEN 'bedside_possible'
      WHEN NOT covered OR shown > 0 OR excuse = 'run' OR shield IN ('machine_run', 'not_acquired') THEN 'coverage_gap'
      WHEN shield = 'broken_row' THEN 'broken_row'
      WHEN used_us > 0 THEN 'too_short'
      WHEN NOT bare OR choices > 0 THEN 'more_lines_than_sessions'
      ELSE 'no_session'
    END AS reason
  FROM reckoned
)
SELECT
  line,
  line_id,
  institution_id,
  amount,
  CASE
    WHEN reason IN ('verified_session', 'corroborated_manual', 'billed_late') THEN 'supported'
    WHEN reason IN ('after_death', 'elsewhere', 'too_short', 'identity_mismatch', 'more_lines_than_sessions', 'no_session')
      THEN 'contradicted'
    ELSE 'insufficient'
  END AS verdict,
  reason,
  CAST(covered_us AS DOUBLE) / CAST(window_us AS DOUBLE) AS coverage_ratio,
  CASE
    WHEN reason IN ('after_death', 'no_session') THEN CAST([] AS VARCHAR[])
    WHEN reason = 'elsewhere' THEN list_sort(list_distinct(elsewhere))
    WHEN reason = 'identity_mismatch' THEN list_sort(trace_evidence)
    WHEN reason = 'more_lines_than_sessions' AND choice_evidence IS NOT NULL
      THEN list_sort(list_distinct(list_concat(choice_evidence, coalesce(session_evidence, CAST([] AS VARCHAR[])))))
    WHEN reason IN ('coverage_gap', 'bedside_possible', 'broken_row')
      THEN list_sort(list_distinct(list_concat(
        coalesce(trace_evidence, CAST([] AS VARCHAR[])), coalesce(session_evidence, CAST([] AS VARCHAR[]))
      )))
    -- the ids of one session are different ones
    WHEN one_session THEN list_sort(session_evidence)
    ELSE list_sort(list_distinct(coalesce(session_evidence, CAST([] AS VARCHAR[]))))
  END AS evidence,
  CASE
    WHEN reason = 'bedside_possible' THEN 'stay'
    WHEN reason = 'broken_row' THEN 'broken_row'
    WHEN reason = 'coverage_gap' AND covered AND shown > 0 THEN 'event'
    WHEN reason = 'coverage_gap' AND covered THEN coalesce(shield, 'machine_run')
  END AS shield
FROM judged
