/*
id: claims-after-death
version: "1.1"
title: {zh: 死亡后仍有费用, en: A person alive in claims after death}
status: stable
basis: [国务院令第735号 第四十条（冒名、虚构） / State Council Decree 735 art 40]
stage: after
level: high
verdict: contradicted
parameters:
  posting_grace_hours:
    unit: hours
    meaning: {zh: 死亡当日午夜之后批量记账的宽限, en: "how long after the midnight of the day of death a batch may still be posted"}
    values:
      - {from: 2020-01-01, value: 24, reference: "稽核规范第二版：费用时间不是治疗时间 / audit specification, version 2: fee time is not treatment time"}
  late_billing_days:
    unit: days
    meaning: {zh: 住院费用在出院后补记的期限, en: how long after a stay that ended by the day of death its items may be entered}
    values:
      - {from: 2020-01-01, value: 31, reference: "与血液透析费用核对的晚录天数一致 / late_billing_days of line-haemodialysis"}
known_false_positives:
  - {zh: 死亡日期登记有误, en: a date of death that was registered wrongly}
  - {zh: 费用按出院日集中记账, en: items that were given before and billed after}
explanation:
  zh: "参保人死亡登记之后，{institution_id} 仍有 {lines} 条费用、{amount} 元；死亡前已结束的治疗和住院的补记，以及午夜批量记账不计在内。"
  en: "{institution_id} billed {lines} line(s), {amount} yuan, for days after the person's registered death. Late entries for treatments and stays that had already ended, and batches posted just after midnight, are not counted."
examples:
  - title: {zh: 死后第二天取药, en: medicine two days after}
    tables:
      persons: [{person_id: P1, sex: F, death_date: 2026-03-04}]
      claim_lines:
        - {line_id: L1, item_code: DRUG, visit_type: pharmacy, service_time: "2026-03-06 10:00", amount: 30}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1], amount: 30}
    neighbour:
      title: {zh: 死亡当日的费用次日零时五分入账, en: the batch of the day itself posted five minutes after midnight}
      tables:
        claim_lines:
          - {line_id: L1, item_code: DRUG, visit_type: pharmacy, service_time: "2026-03-05 00:05", amount: 30}
  - title: {zh: 死后一周的透析, en: dialysis a week after}
    tables:
      persons: [{person_id: P1, sex: F, death_date: 2026-03-04}]
      claim_lines:
        - {line_id: L1, item_code: HD, service_time: "2026-03-11 10:00"}
    flags:
      - {institution_id: H1, line_ids: [L1]}
    neighbour:
      title: {zh: 在院死亡，药费五天后结算时补记, en: "died in hospital, and a medicine entered when the stay was settled five days later"}
      tables:
        stays: [{visit_id: V1, admitted_at: "2026-03-01 09:00", discharged_at: "2026-03-04 22:00"}]
        claim_lines:
          - {line_id: L1, visit_id: V1, visit_type: inpatient, item_code: DRUG, service_time: "2026-03-09 10:00", amount: 30}
*/
-- Of dialysis and bed lines their own verdict decides; of the rest, the time of the entry and the stay it belongs to.
WITH dead AS (
  SELECT person_id, max(death_date) AS death_date FROM persons WHERE death_date IS NOT NULL GROUP BY person_id
),
after AS (
  SELECT l.line, l.line_id, l.institution_id, l.visit_id, l.person_id, l.service_day, l.service_time, l.utc_offset_us, l.amount, d.death_date
  FROM billed_lines l
  JOIN dead d ON l.person_id = d.person_id
  WHERE l.service_day > d.death_date AND l.service_day BETWEEN $from_day AND $to_day
),
judged AS (
  SELECT a.*
  FROM after a
  JOIN line_verdicts v ON a.line = v.line AND v.reason = 'after_death'
),
others AS (
  SELECT a.*
  FROM after a
  ANTI JOIN scope_lines s ON a.line = s.line
  WHERE a.service_time + a.utc_offset_us > (a.death_date + 1) * 86400000000 + $posting_grace_hours * 3600000000
),
late AS (
  SELECT DISTINCT o.line
  FROM others o
  JOIN stays p
    ON o.institution_id = p.institution_id
    AND (o.visit_id = p.visit_id OR o.person_id = p.person_id)
    AND p.discharged_at_day <= o.death_date + 1
    AND o.service_day <= p.discharged_at_day + $late_billing_days
),
found AS (
  SELECT line, line_id, institution_id, person_id, service_time, amount FROM judged
  UNION ALL
  SELECT o.line, o.line_id, o.institution_id, o.person_id, o.service_time, o.amount
  FROM others o
  ANTI JOIN late t ON o.line = t.line
)
SELECT
  institution_id,
  person_id,
  array_agg(line_id) AS line_ids,
  sum(amount) AS amount,
  min(service_time) AS from_at,
  max(service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  count(*) AS lines
FROM found
GROUP BY institution_id, person_id
