/*
id: never-seen
version: "1.0"
title: {zh: 住院期间从未被看到, en: An inpatient who is never seen in the ward}
status: stable
basis: [国务院令第735号 第三十八条（挂床住院） / State Council Decree 735 art 38]
stage: during
level: medium
parameters:
  fewest_days:
    unit: days
    meaning: {zh: 起评床日数, en: "fewer bed days than this say nothing"}
    values:
      - {from: 2020-01-01, value: 10, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_others:
    unit: days
    meaning: {zh: 病区其他患者的床日数少于此数时，改用本统筹区的比率, en: "with fewer bed days of others in the house the region's rate is used"}
    values:
      - {from: 2020-01-01, value: 30, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  half:
    unit: share
    meaning: {zh: 按他人被看到比率的多少估计，照顾少出病房者, en: "the part of the others' rate at which a patient who seldom leaves the room is still seen"}
    values:
      - {from: 2020-01-01, value: 0.5, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  least_ln:
    unit: natural logarithm
    meaning: {zh: 二项概率的自然对数上限, en: "natural logarithm of the largest probability of never being seen by chance"}
    values:
      - {from: 2020-01-01, value: -9.2, reference: "万分之一的自然对数 / ln(0.0001): one in ten thousand"}
known_false_positives:
  - {zh: 卧床不起的患者, en: a patient who cannot leave the bed}
  - {zh: 注册照片陈旧，识别不出, en: a reference so old that the cameras do not know the person}
explanation:
  zh: "参保人在 {institution_id} 计费 {n} 个床日（{amount} 元），设备正常却一次也未被看到，也没有床旁抽查在床的记录；{whose_zh}其他患者每床日被看到的比率为 {rate_percent}%。即使按其一半估计，偶然如此的概率约为百万分之 {per_million}。没有被看到不等于不在，请安排床旁抽查。"
  en: "{n} bed days were billed for the person at {institution_id} ({amount} yuan) while the devices were up, yet no camera and no bedside check ever saw the person; the other patients {whose_en} are seen on {rate_percent} % of their bed days. Even at half that rate, chance would produce this about {per_million} times in a million. Not seen is not absent: arrange a bedside check."
examples:
  - title: {zh: 二十四天一次未见，他人天天可见, en: never in 24 days where others are seen daily}
    tables:
      stays:
        - {visit_id: V1, admitted_at: "2026-03-01 09:00"}
        - {visit_id: V2, person_id: P2, admitted_at: "2026-03-01 09:00"}
        - {visit_id: V3, person_id: P3, admitted_at: "2026-03-01 09:00"}
      claim_lines:
        - {repeat: 24, every_minutes: 1440, line_id: "L{n}", visit_id: V1, item_code: BED, service_time: "2026-03-02 08:00", amount: 50}
        - {repeat: 24, every_minutes: 1440, line_id: "M{n}", visit_id: V2, person_id: P2, item_code: BED, service_time: "2026-03-02 08:00", amount: 50}
        - {repeat: 24, every_minutes: 1440, line_id: "N{n}", visit_id: V3, person_id: P3, item_code: BED, service_time: "2026-03-02 08:00", amount: 50}
      attendance:
        - {repeat: 24, every_minutes: 1440, event_id: "E{n}", person_id: P2, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 15:00"}
        - {repeat: 24, every_minutes: 1440, event_id: "F{n}", person_id: P3, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 16:00"}
      coverage:
        - {purpose: inpatient, from_at: "2026-03-01 00:00", to_at: "2026-03-31 00:00"}
    flags:
      - {institution_id: H1, person_id: P1, amount: 1200}
    neighbour:
      title: {zh: 床旁抽查见过一次, en: one bed check found the patient}
      tables:
        spot_checks:
          - {check_id: C1, visit_id: V1, drawn_at: "2026-03-10 21:00", result: present}
  - title: {zh: 设备正常，全病区无人被看到，同区医院天天可见, en: nobody in the house is seen and everybody in the region's other one}
    tables:
      institutions: [{institution_id: H1}, {institution_id: H2}]
      stays:
        - {visit_id: V1, admitted_at: "2026-03-01 09:00"}
        - {institution_id: H2, visit_id: V2, person_id: P2, admitted_at: "2026-03-01 09:00"}
        - {institution_id: H2, visit_id: V3, person_id: P3, admitted_at: "2026-03-01 09:00"}
      claim_lines:
        - {repeat: 24, every_minutes: 1440, line_id: "L{n}", visit_id: V1, item_code: BED, service_time: "2026-03-02 08:00", amount: 50}
        - {repeat: 24, every_minutes: 1440, institution_id: H2, line_id: "M{n}", visit_id: V2, person_id: P2, item_code: BED, service_time: "2026-03-02 08:00", amount: 50}
        - {repeat: 24, every_minutes: 1440, institution_id: H2, line_id: "N{n}", visit_id: V3, person_id: P3, item_code: BED, service_time: "2026-03-02 08:00", amount: 50}
      attendance:
        - {repeat: 24, every_minutes: 1440, institution_id: H2, event_id: "E{n}", person_id: P2, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 15:00"}
        - {repeat: 24, every_minutes: 1440, institution_id: H2, event_id: "F{n}", person_id: P3, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 16:00"}
      coverage:
        - {purpose: inpatient, from_at: "2026-03-01 00:00", to_at: "2026-03-31 00:00"}
    flags:
      - {institution_id: H1, person_id: P1}
    neighbour:
      title: {zh: 病区没有设备, en: a house without a ward camera}
      tables:
        coverage: []
*/
-- Bed days that were either seen or not seen while the devices were up.
WITH looked AS (
  SELECT inpatient, day, line, CASE WHEN reason = 'seen' THEN 1 ELSE 0 END AS seen
  FROM bed_day_verdicts
  WHERE reason = 'seen' OR (reason = 'not_seen' AND covered_us * 2 >= window_us)
),
bed_days AS (
  SELECT inpatient, day, max(seen) AS seen FROM looked GROUP BY inpatient, day
),
counted AS (
  SELECT inpatient, count(*) AS n, sum(seen) AS seen FROM bed_days GROUP BY inpatient
),
persons_in AS (
  SELECT c.inpatient, i.institution_id, i.person_id, c.n, c.seen
  FROM counted c
  JOIN inpatients i ON c.inpatient = i.inpatient
),
houses AS (
  SELECT p.institution_id, coalesce(i.region_code, p.institution_id) AS region, sum(p.n) AS n, sum(p.seen) AS seen
  FROM persons_in p
  LEFT JOIN institutions i ON p.institution_id = i.institution_id
  GROUP BY p.institution_id, coalesce(i.region_code, p.institution_id)
),
regions AS (
  SELECT region, sum(n) AS n, sum(seen) AS seen FROM houses GROUP BY region
),
rated AS (
  SELECT
    p.inpatient,
    p.institution_id,
    p.person_id,
    p.n,
    CASE WHEN h.n - p.n >= $fewest_others AND h.seen > 0 THEN 1 ELSE 0 END AS own_house,
    CASE
      WHEN h.n - p.n >= $fewest_others AND h.seen > 0 THEN CAST(h.seen AS DOUBLE) / CAST(h.n - p.n AS DOUBLE)
      WHEN r.n - h.n >= $fewest_others THEN CAST(r.seen - h.seen AS DOUBLE) / CAST(r.n - h.n AS DOUBLE)
    END AS rate
  FROM persons_in p
  JOIN houses h ON p.institution_id = h.institution_id
  JOIN regions r ON h.region = r.region
  WHERE p.seen = 0 AND p.n >= $fewest_days
),
tested AS (
  SELECT *, CAST(n AS DOUBLE) * ln(1 - rate * CAST($half AS DOUBLE)) AS chance_ln
  FROM rated
  WHERE rate IS NOT NULL AND rate > 0
)
SELECT
  t.institution_id,
  t.person_id,
  array_agg(DISTINCT s.line_id) AS line_ids,
  sum(CAST(v.amount * 100 AS BIGINT) // v.days) / 100 AS amount,
  min(s.service_time) AS from_at,
  max(s.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  t.n,
  CASE WHEN t.own_house = 1 THEN '本院' ELSE '本统筹区' END AS whose_zh,
  CASE WHEN t.own_house = 1 THEN 'of the house' ELSE 'of the region' END AS whose_en,
  t.rate * 100 AS rate_percent,
  exp(t.chance_ln) * 1000000 AS per_million
FROM tested t
JOIN looked l ON t.inpatient = l.inpatient
JOIN bed_day_verdicts v ON l.line = v.line AND l.day = v.day
JOIN scope_lines s ON l.line = s.line
WHERE t.chance_ln <= CAST($least_ln AS DOUBLE)
GROUP BY t.institution_id, t.person_id, t.n, t.own_house, t.rate, t.chance_ln
