/*
id: nights-never-seen
version: "1.0"
title: {zh: 白天可见而夜间从未被看到, en: Seen by day and never at night}
status: stable
basis: [国务院令第735号 第三十八条（挂床住院） / State Council Decree 735 art 38]
stage: during
level: medium
parameters:
  night_from_hour:
    unit: hour of the local day
    meaning: {zh: 夜间起, en: "begin of the night"}
    values:
      - {from: 2020-01-01, value: 20, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  night_to_hour:
    unit: hour of the local day
    meaning: {zh: 夜间止（次日）, en: "end of the night, on the next day"}
    values:
      - {from: 2020-01-01, value: 6, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_days:
    unit: days
    meaning: {zh: 起评夜数, en: "fewer nights than this say nothing"}
    values:
      - {from: 2020-01-01, value: 10, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_others:
    unit: days
    meaning: {zh: 病区其他患者的夜数少于此数时，改用本统筹区的比率, en: "with fewer nights of others in the house the region's rate is used"}
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
  - {zh: 早睡且行动不便、夜间不出病房的患者, en: a patient who keeps to the room from early evening on}
explanation:
  zh: "参保人在 {institution_id} 住院 {n} 夜，白天被看到 {seen_days} 天，{night_from_hour} 时至次日 {night_to_hour} 时一次也未被看到；{whose_zh}其他患者每夜被看到的比率为 {rate_percent}%。即使按其一半估计，偶然如此的概率约为百万分之 {per_million}。白天输液、夜间回家是典型的挂床方式，请安排夜间床旁抽查。"
  en: "The person spent {n} nights as an inpatient of {institution_id}, was seen by day on {seen_days} days, and never between {night_from_hour}:00 and {night_to_hour}:00; the other patients {whose_en} are seen on {rate_percent} % of their nights. Even at half that rate, chance would produce this about {per_million} times in a million. An infusion by day and the night at home is the usual hang-bed pattern: arrange a bedside check at night."
examples:
  - title: {zh: 每天上午可见，二十四夜不见, en: seen every morning and on none of 24 nights}
    tables:
      stays:
        - {visit_id: V1, admitted_at: "2026-03-02 09:00", discharged_at: "2026-03-26 10:00"}
        - {visit_id: V2, person_id: P2, admitted_at: "2026-03-02 09:00", discharged_at: "2026-03-26 10:00"}
        - {visit_id: V3, person_id: P3, admitted_at: "2026-03-02 09:00", discharged_at: "2026-03-26 10:00"}
      claim_lines:
        - {line_id: L1, visit_id: V1, item_code: BED, service_time: "2026-03-05 08:00", amount: 50}
      attendance:
        - {repeat: 24, every_minutes: 1440, event_id: "D{n}", person_id: P1, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 09:30"}
        - {repeat: 24, every_minutes: 1440, event_id: "E{n}", person_id: P2, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 21:00"}
        - {repeat: 24, every_minutes: 1440, event_id: "F{n}", person_id: P3, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 21:30"}
      coverage:
        - {purpose: inpatient, from_at: "2026-03-01 00:00", to_at: "2026-03-31 00:00"}
    flags:
      - {institution_id: H1, person_id: P1, line_ids: [L1], amount: 50}
    neighbour:
      title: {zh: 有一夜被看到, en: seen on one night}
      tables:
        attendance:
          - {repeat: 24, every_minutes: 1440, event_id: "D{n}", person_id: P1, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 09:30"}
          - {event_id: G1, person_id: P1, event_type: presence, purpose: inpatient, occurred_at: "2026-03-11 02:00"}
          - {repeat: 24, every_minutes: 1440, event_id: "E{n}", person_id: P2, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 21:00"}
          - {repeat: 24, every_minutes: 1440, event_id: "F{n}", person_id: P3, event_type: presence, purpose: inpatient, occurred_at: "2026-03-02 21:30"}
*/
WITH persons_in AS (
  SELECT
    person_here,
    min(institution_id) AS institution_id,
    min(person_id) AS person_id,
    min(greatest(admitted_at_day, $from_day)) AS first_day,
    max(least(coalesce(discharged_at_day, $to_day), $to_day)) AS last_day,
    sum(greatest(0, least(coalesce(discharged_at_day, $to_day), $to_day) - greatest(admitted_at_day, $from_day))) AS n
  FROM stays
  WHERE admitted_at_day <= $to_day AND (discharged_at_day IS NULL OR discharged_at_day >= $from_day)
  GROUP BY person_here
),
-- the night is that of the day on which it begins
sightings AS (
  SELECT
    e.person_here,
    e.occurred_at_day AS day,
    (e.occurred_at_local - $night_to_hour * 3600000000) // 86400000000 AS night,
    CASE
      WHEN e.occurred_at_local - e.occurred_at_day * 86400000000 >= $night_from_hour * 3600000000
        OR e.occurred_at_local - e.occurred_at_day * 86400000000 < $night_to_hour * 3600000000 THEN 1
      ELSE 0
    END AS at_night
  FROM attendance e
  JOIN persons_in p
    ON e.person_here = p.person_here
    AND e.occurred_at_day BETWEEN p.first_day AND p.last_day
  WHERE e.verified AND e.event_type IN ('sign_in', 'presence', 'identity_check')
  UNION ALL
  SELECT
    c.person_here,
    coalesce(c.answered_at_day, c.drawn_at_day) AS day,
    (coalesce(c.answered_at_local, c.drawn_at_local) - $night_to_hour * 3600000000) // 86400000000 AS night,
    CASE
      WHEN coalesce(c.answered_at_local - c.answered_at_day * 86400000000, c.drawn_at_local - c.drawn_at_day * 86400000000) >= $night_from_hour * 3600000000
        OR coalesce(c.answered_at_local - c.answered_at_day * 86400000000, c.drawn_at_local - c.drawn_at_day * 86400000000) < $night_to_hour * 3600000000 THEN 1
      ELSE 0
    END AS at_night
  FROM spot_checks c
  JOIN persons_in p
    ON c.person_here = p.person_here
    AND coalesce(c.answered_at_day, c.drawn_at_day) BETWEEN p.first_day AND p.last_day
  WHERE c.result = 'present'
),
dated AS (
  SELECT person_here, at_night, CASE WHEN at_night = 1 THEN night ELSE day END AS seen_on
  FROM sightings
  GROUP BY person_here, at_night, CASE WHEN at_night = 1 THEN night ELSE day END
),
seen AS (
  SELECT person_here, count(*) - sum(at_night) AS seen_days, sum(at_night) AS seen_nights
  FROM dated
  GROUP BY person_here
),
-- nights on leave are no nights in the ward
away AS (
  SELECT p.person_here, sum(
    greatest(0, least(coalesce(v.returned_at_day, v.due_back_at_day, p.last_day), p.last_day) - greatest(v.left_at_day, p.first_day))
  ) AS nights
  FROM persons_in p
  JOIN leaves v ON p.person_here = v.person_here
  GROUP BY p.person_here
),
nights AS (
  SELECT
    p.person_here,
    p.institution_id,
    p.person_id,
    p.n - coalesce(a.nights, 0) AS n,
    coalesce(s.seen_days, 0) AS seen_days,
    coalesce(s.seen_nights, 0) AS seen_nights
  FROM persons_in p
  LEFT JOIN seen s ON p.person_here = s.person_here
  LEFT JOIN away a ON p.person_here = a.person_here
  WHERE p.n - coalesce(a.nights, 0) > 0
),
houses AS (
  SELECT
    s.institution_id,
    coalesce(i.region_code, s.institution_id) AS region,
    sum(s.n) AS n,
    sum(least(s.seen_nights, s.n)) AS seen
  FROM nights s
  LEFT JOIN institutions i ON s.institution_id = i.institution_id
  GROUP BY s.institution_id, coalesce(i.region_code, s.institution_id)
),
regions AS (
  SELECT region, sum(n) AS n, sum(seen) AS seen FROM houses GROUP BY region
),
-- whether the ward's devices were up at all: days whose whole coverage is at least half
lit AS (
  SELECT institution_id, count(*) AS lit_days
  FROM coverage_days
  WHERE purpose = 'inpatient' AND covered_us >= 43200000000 AND day BETWEEN $from_day AND $to_day
  GROUP BY institution_id
),
rated AS (
  SELECT
    p.person_here,
    p.institution_id,
    p.person_id,
    least(p.n, c.lit_days) AS n,
    p.seen_days,
    CASE WHEN h.n - p.n >= $fewest_others AND h.seen > 0 THEN 1 ELSE 0 END AS own_house,
    CASE
      WHEN h.n - p.n >= $fewest_others AND h.seen > 0 THEN CAST(h.seen AS DOUBLE) / CAST(h.n - p.n AS DOUBLE)
      WHEN r.n - h.n >= $fewest_others THEN CAST(r.seen - h.seen AS DOUBLE) / CAST(r.n - h.n AS DOUBLE)
    END AS rate
  FROM nights p
  JOIN houses h ON p.institution_id = h.institution_id
  JOIN regions r ON h.region = r.region
  JOIN lit c ON p.institution_id = c.institution_id
  WHERE p.seen_nights = 0 AND p.n >= $fewest_days AND p.seen_days * 3 >= p.n
),
tested AS (
  SELECT *, CAST(n AS DOUBLE) * ln(1 - least(rate, 1) * CAST($half AS DOUBLE)) AS chance_ln
  FROM rated
  WHERE rate IS NOT NULL AND rate > 0 AND n >= $fewest_days
),
billed AS (
  SELECT t.person_here, array_agg(l.line_id) AS line_ids, sum(l.amount) AS amount
  FROM tested t
  JOIN scope_lines l
    ON t.person_here = l.person_here
    AND l.item_class = 'bed_day'
    AND l.service_day BETWEEN $from_day AND $to_day
  GROUP BY t.person_here
),
found AS (
  SELECT
    t.person_here,
    t.institution_id,
    t.person_id,
    t.n,
    t.seen_days,
    t.own_house,
    t.rate,
    t.chance_ln,
    min(p.admitted_at) AS from_at,
    max(coalesce(p.discharged_at, p.admitted_at)) AS to_at,
    array_agg(p.visit_id) AS evidence
  FROM tested t
  JOIN stays p
    ON t.person_here = p.person_here
    AND p.admitted_at_day <= $to_day
    AND (p.discharged_at_day IS NULL OR p.discharged_at_day >= $from_day)
  WHERE t.chance_ln <= CAST($least_ln AS DOUBLE)
  GROUP BY t.person_here, t.institution_id, t.person_id, t.n, t.seen_days, t.own_house, t.rate, t.chance_ln
)
SELECT
  t.institution_id,
  t.person_id,
  coalesce(b.line_ids, CAST([] AS VARCHAR[])) AS line_ids,
  coalesce(b.amount, 0) AS amount,
  t.from_at,
  t.to_at,
  t.evidence,
  t.n,
  t.seen_days,
  $night_from_hour AS night_from_hour,
  $night_to_hour AS night_to_hour,
  CASE WHEN t.own_house = 1 THEN '本院' ELSE '本统筹区' END AS whose_zh,
  CASE WHEN t.own_house = 1 THEN 'of the house' ELSE 'of the region' END AS whose_en,
  t.rate * 100 AS rate_percent,
  exp(t.chance_ln) * 1000000 AS per_million
FROM found t
LEFT JOIN billed b ON t.person_here = b.person_here
