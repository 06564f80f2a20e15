/*
id: declined-share
version: "1.0"
title: {zh: 拒绝刷脸者占比过高, en: Too many patients who declined face verification}
status: stable
basis: [国家医保局令第7号 / NHSA Order 7, 个人信息保护法 第十六条（不得强迫） / Personal Information Protection Law art 16]
stage: during
level: low
parameters:
  most_share:
    unit: share
    meaning: {zh: 只以“拒绝”方式签到的患者占比的上限（区间下限须超过）, en: "the share of patients whose every sign-in was declined that the interval's lower end must exceed"}
    values:
      - {from: 2020-01-01, value: 0.3, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  times_peers:
    unit: times
    meaning: {zh: 须超过本统筹区机构中位数的倍数, en: "how many times the middle share of the region's institutions it must exceed"}
    values:
      - {from: 2020-01-01, value: 3, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_days:
    unit: days
    meaning: {zh: 起评天数，少于此数不作评价, en: "fewer days than this are an event and no habit"}
    values:
      - {from: 2020-01-01, value: 7, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  z:
    unit: standard deviations
    meaning: {zh: Wilson 区间的置信系数, en: "width of the Wilson interval"}
    values:
      - {from: 2020-01-01, value: 3, reference: "约七百家正常机构中有一家会偶然超出；Wilson 1927 / about one clean institution in 700 lies outside by chance; Wilson 1927"}
known_false_positives:
  - {zh: 患者确有顾虑而集体选择其他方式, en: patients who share a worry and chose the other way together}
explanation:
  zh: "{institution_id} 本期透析签到的 {n} 名患者中，{k} 名（{days} 天）每次均记为“拒绝刷脸”而由见证人签到，占 {share_percent}%（区间下限 {low_percent}%）。本统筹区其余 {peers} 家机构参与比较，全区中位数为 {middle_percent}%。拒绝是患者的权利，本疑点只针对机构，不针对任何患者；请向患者本人核实。"
  en: "Of {n} patients who signed in for dialysis at {institution_id}, {k} (on {days} days) are recorded as having declined face verification every time and were signed in by a witness: {share_percent} % (lower end of the interval {low_percent} %). Compared with {peers} other institution(s) of the region; the region's median is {middle_percent} %. Declining is a patient's right: this concerns the institution and no patient; please ask the patients themselves."
examples:
  - title: {zh: 二十名患者全部“拒绝”, en: all of twenty patients declined}
    tables:
      institutions: [{institution_id: H1}, {institution_id: H2}]
      attendance:
        - {repeat: 20, every_minutes: 1440, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-02 08:00", outcome: declined, pad: not_shown, witness_id: N1}
        - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-02 08:00"}
    flags:
      - {institution_id: H1, line_ids: []}
    neighbour:
      title: {zh: 两名患者每次都拒绝, en: two patients who decline every time}
      tables:
        attendance:
          - {repeat: 20, every_minutes: 1440, event_id: "E{n}", person_id: P1, occurred_at: "2026-03-02 08:00", outcome: declined, pad: not_shown, witness_id: N1}
          - {repeat: 20, every_minutes: 1440, event_id: "D{n}", person_id: P2, occurred_at: "2026-03-02 08:00", outcome: declined, pad: not_shown, witness_id: N1}
          - {repeat: 20, every_minutes: 1440, event_id: "G{n}", person_id: "R{n}", occurred_at: "2026-03-02 09:00"}
          - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-02 08:00"}
*/
WITH sign_ups AS (
  SELECT institution_id, person_id, outcome, occurred_at, occurred_at_day
  FROM attendance
  WHERE purpose = 'dialysis'
    AND event_type = 'sign_in'
    AND outcome IN ('match', 'manual', 'declined')
    AND occurred_at_day BETWEEN $from_day AND $to_day
),
patients AS (
  SELECT institution_id, person_id, min(CASE WHEN outcome = 'declined' THEN 1 ELSE 0 END) AS always_declined
  FROM sign_ups
  GROUP BY institution_id, person_id
),
counted AS (
  SELECT
    s.institution_id,
    count(DISTINCT s.person_id) AS n,
    count(DISTINCT CASE WHEN p.always_declined = 1 THEN s.person_id END) AS k,
    count(DISTINCT CASE WHEN p.always_declined = 1 THEN s.occurred_at_day END) AS days,
    min(CASE WHEN p.always_declined = 1 THEN s.occurred_at END) AS from_at,
    max(CASE WHEN p.always_declined = 1 THEN s.occurred_at END) AS to_at
  FROM sign_ups s
  JOIN patients p ON s.institution_id = p.institution_id AND s.person_id = p.person_id
  GROUP BY s.institution_id
),
placed AS (
  SELECT
    c.institution_id,
    c.n,
    c.k,
    c.days,
    coalesce(i.region_code, c.institution_id) AS region,
    CAST(c.n AS DOUBLE) AS trials,
    CAST(c.k AS DOUBLE) / CAST(c.n AS DOUBLE) AS share,
    CAST($z AS DOUBLE) AS z
  FROM counted c
  LEFT JOIN institutions i ON c.institution_id = i.institution_id
),
ranked AS (
  SELECT
    *,
    row_number() OVER (PARTITION BY region ORDER BY share, institution_id) AS place,
    count(*) OVER (PARTITION BY region) AS in_region
  FROM placed
),
-- the share that half of the institutions of the region do not exceed
middle AS (
  SELECT region, share AS middle_share FROM ranked WHERE place = (in_region + 1) // 2
),
bounded AS (
  SELECT
    r.*,
    r.in_region - 1 AS peers,
    CASE WHEN r.in_region > 1 THEN m.middle_share END AS middle_share,
    (share + z * z / (2 * trials) - z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))) / (1 + z * z / trials) AS low
  FROM ranked r
  JOIN middle m ON r.region = m.region
),
flagged AS (
  SELECT *
  FROM bounded
  WHERE low > CAST($most_share AS DOUBLE)
    AND days >= $fewest_days
    AND (middle_share IS NULL OR low > middle_share * CAST($times_peers AS DOUBLE))
)
SELECT
  f.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  c.from_at,
  c.to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  f.n,
  f.k,
  f.days,
  f.share * 100 AS share_percent,
  f.low * 100 AS low_percent,
  f.peers,
  f.middle_share * 100 AS middle_percent
FROM flagged f
JOIN counted c ON f.institution_id = c.institution_id
