/*
id: in-bed-rate
version: "1.1"
title: {zh: 在床率低于阈值, en: In-bed rate below the threshold}
status: stable
basis: [国务院令第735号 第三十八条（挂床住院） / State Council Decree 735 art 38]
stage: during
level: medium
parameters:
  threshold:
    unit: share
    meaning: {zh: 在床率阈值, en: the share of checked patients who must be in bed}
    values:
      - {from: 2020-01-01, value: 0.60, reference: "某县医保局床旁抽查：低于 60% 的机构被约谈 / a county bureau's bed checks: institutions below 60 % were summoned"}
  z:
    unit: standard deviations
    meaning: {zh: Wilson 区间的置信系数, en: width of the Wilson interval}
    values:
      - {from: 2020-01-01, value: 1.96, reference: "95% 区间，Wilson 1927 / 95 % interval, Wilson 1927"}
known_false_positives:
  - {zh: 床旁抽查恰逢集中检查时段, en: "a round at the hour of examinations, whose leaves were not recorded"}
explanation:
  zh: "{institution_id} 有应答的 {answered} 次床旁抽查中 {present} 次在床，在床率 {rate_percent}%（95% 区间 {low_percent}%–{high_percent}%），低于阈值。"
  en: "Of {answered} answered bedside checks at {institution_id}, {present} found the patient: {rate_percent} % (95 % interval {low_percent} % to {high_percent} %), below the threshold."
examples:
  - title: {zh: 二十次床旁抽查五次在床, en: five of twenty in bed}
    tables:
      spot_checks:
        - {repeat: 5, check_id: "C{n}", visit_id: "V{n}", person_id: "P{n}", drawn_at: "2026-03-04 10:00", result: present}
        - {repeat: 15, check_id: "D{n}", visit_id: "W{n}", person_id: "Q{n}", drawn_at: "2026-03-04 10:00", result: absent}
    flags:
      - {institution_id: H1, line_ids: [], amount: 0}
    neighbour:
      title: {zh: 样本太小, en: too few answers to say so}
      tables:
        spot_checks:
          - {repeat: 2, check_id: "C{n}", visit_id: "V{n}", person_id: "P{n}", drawn_at: "2026-03-04 10:00", result: present}
          - {repeat: 3, check_id: "D{n}", visit_id: "W{n}", person_id: "Q{n}", drawn_at: "2026-03-04 10:00", result: absent}
  - title: {zh: 二十次全缺, en: nobody in bed}
    tables:
      spot_checks:
        - {repeat: 20, check_id: "D{n}", visit_id: "W{n}", person_id: "Q{n}", drawn_at: "2026-03-04 10:00", result: absent}
    flags: [{institution_id: H1}]
    neighbour:
      title: {zh: 无人应答与有请假的外出不计, en: unanswered checks and absences with a leave do not count}
      tables:
        leaves:
          - {repeat: 20, visit_id: "X{n}", person_id: "R{n}", left_at: "2026-03-04 08:00", returned_at: "2026-03-04 18:00"}
        spot_checks:
          - {repeat: 20, check_id: "D{n}", visit_id: "W{n}", person_id: "Q{n}", drawn_at: "2026-03-04 10:00", result: unanswered}
          - {repeat: 20, check_id: "E{n}", visit_id: "X{n}", person_id: "R{n}", drawn_at: "2026-03-04 10:00", result: away_approved}
          - {repeat: 5, check_id: "C{n}", visit_id: "V{n}", person_id: "P{n}", drawn_at: "2026-03-04 10:00", result: present}
  - title: {zh: 外出无请假、在床由他人设备作答, en: "away without a leave, and present by a device that was not asked"}
    tables:
      spot_checks:
        - {repeat: 15, check_id: "E{n}", visit_id: "X{n}", person_id: "R{n}", drawn_at: "2026-03-04 10:00", result: away_approved}
        - {repeat: 15, check_id: "F{n}", visit_id: "Y{n}", person_id: "S{n}", drawn_at: "2026-03-04 10:00", result: present, sent_to_device_id: U1, answered_by_device_id: K1}
        - {repeat: 5, check_id: "C{n}", visit_id: "V{n}", person_id: "P{n}", drawn_at: "2026-03-04 10:00", result: present}
    flags: [{institution_id: H1}]
    neighbour:
      title: {zh: 外出有请假, en: with their leaves}
      tables:
        leaves:
          - {repeat: 15, visit_id: "X{n}", person_id: "R{n}", left_at: "2026-03-04 08:00", returned_at: "2026-03-04 18:00"}
*/
-- An absence with a leave says nothing of the bed; one without is an absence. A check that another device answered than
-- the one it was sent to shows nobody.
WITH excused AS (
  SELECT DISTINCT c.check_id
  FROM spot_checks c
  JOIN leaves v
    ON c.institution_id = v.institution_id
    AND c.person_id = v.person_id
    AND coalesce(c.answered_at, c.drawn_at) >= v.left_at
    AND (
      coalesce(v.returned_at, v.due_back_at) IS NULL
      OR coalesce(c.answered_at, c.drawn_at) <= coalesce(v.returned_at, v.due_back_at)
    )
  WHERE c.result = 'away_approved'
),
answered AS (
  SELECT c.institution_id, c.check_id, c.result, coalesce(c.answered_at, c.drawn_at) AS moment
  FROM spot_checks c
  ANTI JOIN excused e ON c.check_id = e.check_id
  WHERE c.result IN ('present', 'absent', 'identity_mismatch', 'away_approved')
    AND NOT (c.result = 'present' AND coalesce(c.sent_to_device_id <> c.answered_by_device_id, false))
    AND c.drawn_at_day BETWEEN $from_day AND $to_day
),
counted AS (
  SELECT
    institution_id,
    count(*) AS answered,
    count(CASE WHEN result = 'present' THEN 1 END) AS present,
    min(moment) AS from_at,
    max(moment) AS to_at,
    array_agg(CASE WHEN result <> 'present' THEN check_id END) AS checks
  FROM answered
  GROUP BY institution_id
),
rated AS (
  SELECT *, CAST(answered AS DOUBLE) AS n, CAST(present AS DOUBLE) / CAST(answered AS DOUBLE) AS rate, CAST($z AS DOUBLE) AS z
  FROM counted
),
bounded AS (
  SELECT
    *,
    (rate + z * z / (2 * n) - z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))) / (1 + z * z / n) AS low,
    (rate + z * z / (2 * n) + z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))) / (1 + z * z / n) AS high
  FROM rated
)
SELECT
  institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  from_at,
  to_at,
  list_filter(checks, lambda x: x IS NOT NULL) AS evidence,
  answered,
  present,
  rate * 100 AS rate_percent,
  low * 100 AS low_percent,
  high * 100 AS high_percent
FROM bounded
WHERE high < CAST($threshold AS DOUBLE)
