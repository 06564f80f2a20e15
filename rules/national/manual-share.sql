/*
id: manual-share
version: "1.1"
title: {zh: 人工见证签到占比过高（使用评分）, en: Manual sign-ins above a share (usage score)}
status: stable
basis: [国家医保局令第7号 / NHSA Order 7]
stage: during
level: low
parameters:
  most_share:
    unit: share
    meaning: {zh: 人工见证签到占比上限, en: the largest share of sign-ins that may be manual}
    values:
      - {from: 2020-01-01, value: 0.20, reference: "参照美国电子到访核验，使用评分不低于 80% / usage score of at least 80 %, as in Electronic Visit Verification"}
  most_either_share:
    unit: share
    meaning: {zh: 人工与拒绝合计占比上限, en: the largest share of sign-ins that may be manual or declined where both occur}
    values:
      - {from: 2020-01-01, value: 0.40, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  least_manual_share:
    unit: share
    meaning: {zh: 合计判断时人工见证签到的最低占比, en: "the part of all sign-ins that must be manual for both to be taken together: declining alone is a right"}
    values:
      - {from: 2020-01-01, value: 0.10, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  z:
    unit: standard deviations
    meaning: {zh: Wilson 区间的置信系数, en: width of the Wilson interval}
    values:
      - {from: 2020-01-01, value: 1.96, reference: "95% 区间，Wilson 1927 / 95 % interval, Wilson 1927"}
known_false_positives:
  - {zh: 摄像头故障期间全部改用人工, en: "a broken camera, during which everybody signs in with a witness"}
  - {zh: 高龄或重病患者集中的病区, en: a ward of very old or very ill patients}
explanation:
  zh: "{institution_id} 透析签到中，刷脸与人工见证共 {sign_ins} 次，其中人工见证 {manual} 次，占 {share_percent}%；另有拒绝刷脸 {declined} 次，人工见证与拒绝合计占全部的 {either_percent}%。拒绝是患者的权利，单独不作疑点。"
  en: "{manual} of {sign_ins} dialysis sign-ins by face or witness at {institution_id} were by witness: {share_percent} %. In {declined} more the patient declined face verification; both together are {either_percent} % of all. Declining is a patient's right and by itself no finding."
examples:
  - title: {zh: 六成人工, en: six in ten manual}
    tables:
      attendance:
        - {repeat: 40, every_minutes: 10, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 07:00"}
        - {repeat: 60, every_minutes: 10, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-04 07:05", outcome: manual, pad: not_shown}
    flags:
      - {institution_id: H1, line_ids: []}
    neighbour:
      title: {zh: 拒绝人脸不算人工, en: those who declined do not count}
      tables:
        attendance:
          - {repeat: 40, every_minutes: 10, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 07:00"}
          - {repeat: 60, every_minutes: 10, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-04 07:05", outcome: declined, pad: not_shown}
  - title: {zh: 人工与拒绝交替使用, en: manual and declined by turns}
    tables:
      attendance:
        - {repeat: 100, every_minutes: 10, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 07:00"}
        - {repeat: 30, every_minutes: 10, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-04 07:05", outcome: manual, pad: not_shown}
        - {repeat: 100, every_minutes: 10, event_id: "G{n}", person_id: "R{n}", occurred_at: "2026-03-04 07:05", outcome: declined, pad: not_shown}
    flags:
      - {institution_id: H1, line_ids: []}
    neighbour:
      title: {zh: 少数人工，少数拒绝, en: few of either}
      tables:
        attendance:
          - {repeat: 100, every_minutes: 10, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-04 07:00"}
          - {repeat: 15, every_minutes: 10, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-04 07:05", outcome: manual, pad: not_shown}
          - {repeat: 20, every_minutes: 10, event_id: "G{n}", person_id: "R{n}", occurred_at: "2026-03-04 07:05", outcome: declined, pad: not_shown}
*/
WITH counted AS (
  SELECT
    institution_id,
    count(CASE WHEN outcome <> 'declined' THEN 1 END) AS sign_ins,
    count(CASE WHEN outcome = 'manual' THEN 1 END) AS manual,
    count(CASE WHEN outcome = 'declined' THEN 1 END) AS declined,
    count(*) AS everybody,
    min(CASE WHEN outcome = 'manual' THEN occurred_at END) AS from_at,
    max(CASE WHEN outcome = 'manual' THEN occurred_at END) AS to_at,
    array_agg(CASE WHEN outcome = 'manual' THEN event_id END) AS events
  FROM attendance
  WHERE purpose = 'dialysis'
    AND event_type = 'sign_in'
    AND outcome IN ('match', 'manual', 'declined')
    AND occurred_at_day BETWEEN $from_day AND $to_day
  GROUP BY institution_id
),
rated AS (
  SELECT
    *,
    CAST(sign_ins AS DOUBLE) AS n,
    CAST(manual AS DOUBLE) / CAST(sign_ins AS DOUBLE) AS share,
    CAST(everybody AS DOUBLE) AS m,
    CAST(manual + declined AS DOUBLE) / CAST(everybody AS DOUBLE) AS either,
    CAST($z AS DOUBLE) AS z
  FROM counted
  WHERE manual > 0
),
bounded AS (
  SELECT
    *,
    (share + z * z / (2 * n) - z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n) AS low,
    (either + z * z / (2 * m) - z * sqrt(either * (1 - either) / m + z * z / (4 * m * m))) / (1 + z * z / m) AS either_low
  FROM rated
)
SELECT
  institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  from_at,
  to_at,
  list_filter(events, lambda x: x IS NOT NULL) AS evidence,
  sign_ins,
  manual,
  declined,
  share * 100 AS share_percent,
  either * 100 AS either_percent
FROM bounded
WHERE low > CAST($most_share AS DOUBLE)
  OR (either_low > CAST($most_either_share AS DOUBLE) AND CAST(manual AS DOUBLE) >= m * CAST($least_manual_share AS DOUBLE))
