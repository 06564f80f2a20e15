/*
id: leave-after-draw
version: "1.0"
title: {zh: 抽查之后补记的请假, en: Leave recorded only after a spot check was drawn}
status: stable
basis: [国务院令第735号 第三十八条（挂床住院） / State Council Decree 735 art 38]
stage: during
level: medium
known_false_positives:
  - {zh: 急诊外出来不及登记, en: an emergency that left no time to record the leave first}
  - {zh: 系统网络中断后补录, en: a record entered after a network outage}
explanation:
  zh: "{from_at} 抽出的床旁抽查，涵盖该时刻的请假在抽出之后才登记。"
  en: "The leave that covers the bedside check of {from_at} was recorded only after the check had been drawn."
examples:
  - title: {zh: 抽查一小时后补记, en: recorded an hour after the draw}
    tables:
      spot_checks:
        - {check_id: C1, visit_id: V1, drawn_at: "2026-03-04 10:00", answered_at: "2026-03-04 10:20", result: absent}
      leaves:
        - {visit_id: V1, left_at: "2026-03-04 08:00", returned_at: "2026-03-04 18:00", recorded_at: "2026-03-04 11:00"}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [], evidence: [C1]}
    neighbour:
      title: {zh: 事先登记, en: recorded before}
      tables:
        leaves:
          - {visit_id: V1, left_at: "2026-03-04 08:00", returned_at: "2026-03-04 18:00", recorded_at: "2026-03-04 07:50"}
*/
SELECT
  c.institution_id,
  c.person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  c.drawn_at AS from_at,
  max(v.recorded_at) AS to_at,
  [c.check_id] AS evidence,
  c.check_id
FROM spot_checks c
JOIN leaves v
  ON c.institution_id = v.institution_id
  AND c.person_id = v.person_id
  AND v.recorded_at > c.drawn_at
  AND coalesce(c.answered_at, c.drawn_at) >= v.left_at
  AND (
    coalesce(v.returned_at, v.due_back_at) IS NULL
    OR coalesce(c.answered_at, c.drawn_at) <= coalesce(v.returned_at, v.due_back_at)
  )
WHERE c.drawn_at_day BETWEEN $from_day AND $to_day
  AND c.result IN ('absent', 'away_approved', 'identity_mismatch')
GROUP BY c.institution_id, c.person_id, c.check_id, c.drawn_at
