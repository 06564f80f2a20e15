/*
id: sign-in-far-from-machine
version: "1.0"
title: {zh: 签到与透析机启动时间相差过大, en: Sign-in far from the machine's own start}
status: stable
basis: [国务院令第735号 第四十条（伪造电子信息） / State Council Decree 735 art 40]
stage: after
level: low
parameters:
  most_minutes:
    unit: minutes
    meaning: {zh: 签到与上机允许的最大间隔, en: largest gap between sign-in and the start of the machine}
    values:
      - {from: 2020-01-01, value: 120, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 候诊时间长, en: a long wait for a free machine}
  - {zh: 透析机时钟未校准, en: a machine whose clock was not set}
explanation:
  zh: "签到与透析机 {run} 的启动相差 {minutes} 分钟。"
  en: "The sign-in and the start of machine {run} are {minutes} minutes apart."
examples:
  - title: {zh: 上机三小时后才签到, en: signed in three hours after the machine had started}
    tables:
      attendance:
        - {event_id: E1, occurred_at: "2026-03-04 11:00"}
        - {event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:30"}
      machine_sessions:
        - {person_id: P1, started_at: "2026-03-04 08:00", ended_at: "2026-03-04 12:00"}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: []}
    neighbour:
      title: {zh: 先签到后上机, en: signed in and put on the machine half an hour later}
      tables:
        attendance:
          - {event_id: E1, occurred_at: "2026-03-04 07:30"}
          - {event_id: E2, event_type: sign_out, occurred_at: "2026-03-04 12:30"}
*/
SELECT
  institution_id,
  person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  least(signed_in_at, run_started_at) AS from_at,
  greatest(signed_in_at, run_started_at) AS to_at,
  [session, run] AS evidence,
  run,
  abs(run_started_at - signed_in_at) // 60000000 AS minutes
FROM dialysis_sessions
WHERE run IS NOT NULL
  AND clock_trusted
  AND first_day BETWEEN $from_day AND $to_day
  AND abs(run_started_at - signed_in_at) > $most_minutes * 60000000
