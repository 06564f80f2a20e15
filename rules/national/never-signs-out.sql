/*
id: never-signs-out
version: "1.0"
title: {zh: 只签到不签退, en: Sign-ins without sign-outs}
status: stable
basis: [国家医保局令第7号 / NHSA Order 7]
stage: after
level: low
parameters:
  most_share:
    unit: share
    meaning: {zh: 没有签退的透析治疗占比的上限（区间下限须超过）, en: "the share of sessions without a sign-out that the interval's lower end must exceed"}
    values:
      - {from: 2020-01-01, value: 0.5, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
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
  - {zh: 本地区不要求签退, en: a region that does not ask for sign-outs}
  - {zh: 签退设备设在患者不经过的出口, en: a kiosk at a door that patients do not leave by}
explanation:
  zh: "{institution_id} 本期透析签到 {n} 次，其中 {k} 次（{days} 天）没有任何签退，占 {share_percent}%（区间下限 {low_percent}%）。本统筹区其余 {peers} 家机构参与比较，全区中位数为 {middle_percent}%。没有签退，治疗时长只能依靠机构自己的机器日志。"
  en: "{k} of {n} dialysis sessions at {institution_id} (on {days} days) have no sign-out at all: {share_percent} % (lower end of the interval {low_percent} %). Compared with {peers} other institution(s) of the region; the region's median is {middle_percent} %. Without a sign-out, only the institution's own machine log shows how long a treatment lasted."
examples:
  - title: {zh: 二十次签到没有一次签退, en: twenty sign-ins and no sign-out}
    tables:
      institutions: [{institution_id: H1}, {institution_id: H2}]
      attendance:
        - {repeat: 20, every_minutes: 1440, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-02 08:00"}
        - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-02 08:00"}
        - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "G{n}", person_id: "Q{n}", event_type: sign_out, occurred_at: "2026-03-02 12:00"}
    flags:
      - {institution_id: H1, line_ids: []}
    neighbour:
      title: {zh: 全区都不签退, en: nobody in the region signs out}
      tables:
        attendance:
          - {repeat: 20, every_minutes: 1440, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-02 08:00"}
          - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "F{n}", person_id: "Q{n}", occurred_at: "2026-03-02 08:00"}
*/
WITH counted AS (
  SELECT
    institution_id,
    count(*) AS n,
    count(CASE WHEN sign_out IS NULL THEN 1 END) AS k,
    count(DISTINCT CASE WHEN sign_out IS NULL THEN first_day END) AS days,
    min(CASE WHEN sign_out IS NULL THEN signed_in_at END) AS from_at,
    max(CASE WHEN sign_out IS NULL THEN signed_in_at END) AS to_at
  FROM dialysis_sessions
  WHERE first_day BETWEEN $from_day AND $to_day
  GROUP BY institution_id
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
