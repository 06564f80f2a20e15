/*
id: beyond-prescription
version: "1.1"
title: {zh: 透析次数超出处方, en: More sessions than prescribed}
status: stable
basis: [国务院令第735号 第三十八条（过度诊疗） / State Council Decree 735 art 38]
stage: after
level: medium
parameters:
  extra_sessions:
    unit: sessions a week
    meaning: {zh: 一周内允许的补透次数, en: make-up sessions a week that need no new prescription}
    values:
      - {from: 2020-01-01, value: 1, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  bundle_sessions:
    unit: sessions
    meaning: {zh: 一条达到此例次即视为集中补记，不计入当周, en: "a line of as many sessions was billed for several weeks at once, and does not count"}
    values:
      - {from: 2020-01-01, value: 3, reference: "费用时间不是治疗时间 / fee time is not treatment time"}
known_false_positives:
  - {zh: 处方已变更但未上传, en: a prescription that was changed and not yet uploaded}
explanation:
  zh: "参保人一周内在 {institution_id} 计费透析 {billed} 例次，处方为每周 {prescribed} 次。"
  en: "{billed} session(s) were billed for the person in one week at {institution_id}; the prescription is for {prescribed} a week."
examples:
  - title: {zh: 处方两次，计费四次, en: two a week prescribed and four billed}
    tables:
      prescriptions: [{sessions_per_week: 2}]
      claim_lines:
        - {repeat: 4, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L0, L1, L2, L3], amount: 1600}
    neighbour:
      title: {zh: 一次补透, en: one make-up session}
      tables:
        claim_lines:
          - {repeat: 3, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
  - title: {zh: 短时每日透析, en: beyond even short daily dialysis}
    tables:
      prescriptions: [{sessions_per_week: 5, session_minutes: 120}]
      claim_lines:
        - {repeat: 7, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
    flags: [{person_id: P1}]
    neighbour:
      title: {zh: 没有处方就不判断, en: without a prescription nothing is judged}
      tables:
        prescriptions: []
  - title: {zh: 处方一次，逐次计费三次, en: one a week prescribed and three billed one by one}
    tables:
      prescriptions: [{sessions_per_week: 1}]
      claim_lines:
        - {repeat: 3, every_minutes: 2880, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
    flags: [{person_id: P1}]
    neighbour:
      title: {zh: 月末合并记账, en: a month on one line}
      tables:
        claim_lines:
          - {line_id: L1, item_code: HD, service_time: "2026-03-31 18:00", quantity: 4, amount: 1600}
*/
WITH by_class AS (
  SELECT institution_id, person_id, week, item_class, sum(quantity) AS billed
  FROM capped_lines
  WHERE quantity < $bundle_sessions
  GROUP BY institution_id, person_id, week, item_class
),
by_week AS (
  SELECT institution_id, person_id, week, max(billed) AS billed
  FROM by_class
  GROUP BY institution_id, person_id, week
),
-- prescriptions that hold on any day of the week are added up: a change within the week accuses nobody
ordered AS (
  SELECT w.institution_id, w.person_id, w.week, sum(p.sessions_per_week) AS prescribed
  FROM by_week w
  JOIN prescriptions p
    ON w.institution_id = p.institution_id
    AND w.person_id = p.person_id
    AND p.valid_from <= w.week * 7 + 3
    AND (p.valid_to IS NULL OR p.valid_to >= w.week * 7 - 3)
  GROUP BY w.institution_id, w.person_id, w.week
),
beyond AS (
  SELECT w.institution_id, w.person_id, w.week, w.billed, o.prescribed
  FROM by_week w
  JOIN ordered o ON w.institution_id = o.institution_id AND w.person_id = o.person_id AND w.week = o.week
  WHERE CAST(w.billed AS DOUBLE) > o.prescribed + $extra_sessions
)
SELECT
  b.institution_id,
  b.person_id,
  array_agg(l.line_id) AS line_ids,
  sum(l.amount) AS amount,
  min(l.service_time) AS from_at,
  max(l.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  b.billed,
  b.prescribed
FROM beyond b
JOIN capped_lines l ON b.institution_id = l.institution_id AND b.person_id = l.person_id AND b.week = l.week
WHERE l.quantity < $bundle_sessions
GROUP BY b.institution_id, b.person_id, b.week, b.billed, b.prescribed
HAVING max(CASE WHEN l.service_day BETWEEN $from_day AND $to_day THEN 1 ELSE 0 END) = 1
