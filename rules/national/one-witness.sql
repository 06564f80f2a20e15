/*
id: one-witness
version: "1.0"
title: {zh: 同一见证人包办签到, en: One witness behind too many manual sign-ins}
status: stable
basis: [国务院令第735号 第四十条 / State Council Decree 735 art 40]
stage: during
level: medium
parameters:
  fewest:
    unit: sign-ins
    meaning: {zh: 起评次数, en: fewer manual sign-ins than this say nothing}
    values:
      - {from: 2020-01-01, value: 20, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  most_share:
    unit: share
    meaning: {zh: 一名见证人占机构人工见证签到的上限, en: "largest share of an institution's witnessed sign-ins by one witness"}
    values:
      - {from: 2020-01-01, value: 0.60, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 只有一名护士的小透析点, en: a small site with a single nurse}
explanation:
  zh: "{institution_id} 由见证人签到 {all_manual} 次，其中 {manual} 次出自同一见证人 {witness_id}。"
  en: "{manual} of {all_manual} witnessed sign-ins at {institution_id} rest on one witness, {witness_id}."
examples:
  - title: {zh: 三十次中二十七次, en: 27 of 30}
    tables:
      attendance:
        - {repeat: 27, every_minutes: 10, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 07:00", outcome: manual, pad: not_shown, witness_id: W1}
        - {repeat: 3, every_minutes: 10, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-04 07:05", outcome: manual, pad: not_shown, witness_id: W2}
    flags:
      - {institution_id: H1, line_ids: []}
    neighbour:
      title: {zh: 两名见证人各半, en: two witnesses with half each}
      tables:
        attendance:
          - {repeat: 15, every_minutes: 10, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 07:00", outcome: manual, pad: not_shown, witness_id: W1}
          - {repeat: 15, every_minutes: 10, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-04 07:05", outcome: manual, pad: not_shown, witness_id: W2}
*/
WITH witnessed AS (
  SELECT institution_id, witness_id, event_id, occurred_at
  FROM attendance
  WHERE event_type = 'sign_in'
    AND outcome IN ('manual', 'declined')
    AND witness_id IS NOT NULL
    AND occurred_at_day BETWEEN $from_day AND $to_day
),
everyone AS (
  SELECT institution_id, count(*) AS all_manual
  FROM witnessed
  GROUP BY institution_id
)
SELECT
  w.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  min(w.occurred_at) AS from_at,
  max(w.occurred_at) AS to_at,
  array_agg(w.event_id) AS evidence,
  w.witness_id,
  count(*) AS manual,
  e.all_manual
FROM witnessed w
JOIN everyone e ON w.institution_id = e.institution_id
GROUP BY w.institution_id, w.witness_id, e.all_manual
HAVING count(*) >= $fewest AND CAST(count(*) AS DOUBLE) > CAST($most_share AS DOUBLE) * e.all_manual
