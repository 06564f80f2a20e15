/*
id: short-prescription
version: "1.0"
title: {zh: 处方时长过短，使短时治疗也能通过, en: Prescriptions so short that short treatments pass}
status: stable
basis: [国务院令第735号 第四十条（伪造、变造医学文书） / State Council Decree 735 art 40]
stage: after
level: medium
parameters:
  least_minutes:
    unit: minutes
    meaning: {zh: 处方时长低于此数视为过短, en: "a prescription of fewer minutes asks less than none at all would"}
    values:
      - {from: 2020-01-01, value: 90, reference: "与血液透析费用核对的最短时长一致 / min_session_minutes of line-haemodialysis"}
  fewest_sessions:
    unit: sessions
    meaning: {zh: 起评治疗次数, en: "fewer short treatments than this are events"}
    values:
      - {from: 2020-01-01, value: 3, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
known_false_positives:
  - {zh: 首次诱导透析，处方确为短时, en: the first treatments of a new patient that are meant to be short}
  - {zh: 时长录入错误, en: minutes that were typed wrongly}
explanation:
  zh: "{institution_id} 有 {persons} 名患者的透析处方不足 {least_minutes} 分钟（最短 {shortest} 分钟），其 {sessions} 次治疗的可证时长也不足 {least_minutes} 分钟（平均 {shown_minutes} 分钟），涉及费用 {amount} 元。常规血液透析每次约四小时。"
  en: "At {institution_id}, prescriptions of less than {least_minutes} minutes were written for {persons} patient(s) (the shortest: {shortest} minutes), and {sessions} of their treatments lasted, as far as evidence shows, less than that too ({shown_minutes} minutes on average); {amount} yuan were billed. A usual treatment takes about four hours."
examples:
  - title: {zh: 处方十分钟，治疗二十分钟，四次, en: "ten minutes prescribed and twenty given, four times"}
    tables:
      prescriptions: [{session_minutes: 10}]
      claim_lines:
        - {repeat: 4, every_minutes: 2880, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 08:10"}
      attendance:
        - {repeat: 4, every_minutes: 2880, event_id: "E{n}", occurred_at: "2026-03-02 08:00"}
        - {repeat: 4, every_minutes: 2880, event_id: "F{n}", event_type: sign_out, occurred_at: "2026-03-02 08:20"}
    flags:
      - {institution_id: H1, line_ids: [L0, L1, L2, L3], amount: 1600}
    neighbour:
      title: {zh: 处方录错，治疗仍四小时, en: "a slip in the prescription, and treatments of four hours"}
      tables:
        attendance:
          - {repeat: 4, every_minutes: 2880, event_id: "E{n}", occurred_at: "2026-03-02 08:00"}
          - {repeat: 4, every_minutes: 2880, event_id: "F{n}", event_type: sign_out, occurred_at: "2026-03-02 12:00"}
*/
WITH short AS (
  SELECT
    s.session,
    s.institution_id,
    s.person_id,
    s.first_day,
    s.signed_in_at,
    s.shown_us,
    min(p.session_minutes) AS minutes
  FROM dialysis_sessions s
  JOIN prescriptions p
    ON s.institution_id = p.institution_id
    AND s.person_id = p.person_id
    AND s.first_day >= p.valid_from
    AND (p.valid_to IS NULL OR s.first_day <= p.valid_to)
  WHERE p.modality <> 'peritoneal_dialysis'
    AND p.session_minutes < $least_minutes
    AND s.first_day BETWEEN $from_day AND $to_day
    AND s.shown_us > 0
    AND s.shown_us < $least_minutes * 60000000
  GROUP BY s.session, s.institution_id, s.person_id, s.first_day, s.signed_in_at, s.shown_us
),
lines AS (
  SELECT DISTINCT t.institution_id, l.line, l.line_id, l.amount
  FROM short t
  JOIN dialysis_lines l
    ON t.institution_id = l.institution_id AND t.person_id = l.person_id AND t.first_day = l.service_day
),
billed AS (
  SELECT institution_id, array_agg(line_id) AS line_ids, sum(amount) AS amount
  FROM lines
  GROUP BY institution_id
),
found AS (
  SELECT
    institution_id,
    min(signed_in_at) AS from_at,
    max(signed_in_at) AS to_at,
    array_agg(session) AS evidence,
    count(DISTINCT person_id) AS persons,
    count(*) AS sessions,
    min(minutes) AS shortest,
    sum(shown_us) // (count(*) * 60000000) AS shown_minutes
  FROM short
  GROUP BY institution_id
  HAVING count(*) >= $fewest_sessions
)
SELECT
  t.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  b.line_ids,
  b.amount,
  t.from_at,
  t.to_at,
  t.evidence,
  t.persons,
  t.sessions,
  t.shortest,
  t.shown_minutes,
  $least_minutes AS least_minutes
FROM found t
JOIN billed b ON t.institution_id = b.institution_id
