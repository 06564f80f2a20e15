/*
id: coverage-just-short
version: "1.0"
title: {zh: 设备覆盖屡屡略低于要求, en: Coverage that is again and again just short of the need}
status: stable
basis: [国务院令第735号 第四十条（伪造、隐匿电子信息） / State Council Decree 735 art 40]
stage: after
level: medium
parameters:
  needed:
    unit: share
    meaning: {zh: 判定所需的覆盖率，与透析费用核对规则一致, en: "coverage that the verdict on a dialysis line asks for; the same as in line-haemodialysis"}
    values:
      - {from: 2020-01-01, value: 0.95, reference: "与血液透析费用核对所需的覆盖率一致 / coverage_needed of line-haemodialysis"}
  margin:
    unit: share
    meaning: {zh: “略低于”的范围, en: "how far below the need still counts as just short"}
    values:
      - {from: 2020-01-01, value: 0.2, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  most_share:
    unit: share
    meaning: {zh: 因覆盖略低而无法核实的费用条数占比的上限（区间下限须超过）, en: "the share of lines left open by coverage that was just short that the interval's lower end must exceed"}
    values:
      - {from: 2020-01-01, value: 0.05, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  times_peers:
    unit: times
    meaning: {zh: 须超过本统筹区机构中位数的倍数, en: "how many times the middle share of the region's institutions it must exceed"}
    values:
      - {from: 2020-01-01, value: 3, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_days:
    unit: days
    meaning: {zh: 起评天数，少于此数不作评价, en: "fewer days than this are an event and no habit"}
    values:
      - {from: 2020-01-01, value: 5, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  z:
    unit: standard deviations
    meaning: {zh: Wilson 区间的置信系数, en: "width of the Wilson interval"}
    values:
      - {from: 2020-01-01, value: 3, reference: "约七百家正常机构中有一家会偶然超出；Wilson 1927 / about one clean institution in 700 lies outside by chance; Wilson 1927"}
known_false_positives:
  - {zh: 每晚按时关机的透析室，且有患者漏采, en: a clinic that switches its kiosk off every evening and misses some patients by day}
explanation:
  zh: "{institution_id} 有 {days} 天的设备覆盖率略低于要求（{lowest_percent}%–{highest_percent}%），其间 {k} 条透析费用（{amount} 元）无人到场记录而不能判定，占全部 {n} 条的 {share_percent}%（区间下限 {low_percent}%）。本统筹区其余 {peers} 家机构参与比较，全区中位数为 {middle_percent}%。"
  en: "On {days} days, coverage at {institution_id} was just below what is needed ({lowest_percent} % to {highest_percent} %), and {k} dialysis line(s) of those days ({amount} yuan), for which nobody was seen, remain undecided: {share_percent} % of {n} lines (lower end of the interval {low_percent} %). Compared with {peers} other institution(s) of the region; the region's median is {middle_percent} %."
examples:
  - title: {zh: 每天下午六点后停机, en: down from six in the evening every day}
    tables:
      institutions: [{institution_id: H1}]
      claim_lines:
        - {repeat: 20, every_minutes: 1440, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-02 10:00"}
      coverage:
        - {repeat: 20, every_minutes: 1440, from_at: "2026-03-02 05:00", to_at: "2026-03-02 22:00"}
    flags:
      - {institution_id: H1, amount: 8000}
    neighbour:
      title: {zh: 同样停机，但患者均已签到签退, en: the same hours with everybody signed in and out}
      tables:
        attendance:
          - {repeat: 20, every_minutes: 1440, event_id: "E{n}", person_id: "P{n}", occurred_at: "2026-03-02 08:00"}
          - {repeat: 20, every_minutes: 1440, event_id: "F{n}", person_id: "P{n}", event_type: sign_out, occurred_at: "2026-03-02 12:00"}
*/
WITH judged AS (
  SELECT
    v.line_id,
    v.institution_id,
    v.amount,
    v.coverage_ratio,
    s.service_day,
    s.service_time,
    v.reason = 'coverage_gap'
      AND v.coverage_ratio < CAST($needed AS DOUBLE)
      AND v.coverage_ratio >= CAST($needed AS DOUBLE) - CAST($margin AS DOUBLE) AS just_short
  FROM line_verdicts v
  JOIN scope_lines s ON v.line = s.line
  WHERE v.rule_id = 'line-haemodialysis' AND s.service_day BETWEEN $from_day AND $to_day
),
counted AS (
  SELECT
    institution_id,
    count(*) AS n,
    count(CASE WHEN just_short THEN 1 END) AS k,
    count(DISTINCT CASE WHEN just_short THEN service_day END) AS days
  FROM judged
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
  array_agg(j.line_id) AS line_ids,
  sum(j.amount) AS amount,
  min(j.service_time) AS from_at,
  max(j.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  f.n,
  f.k,
  f.days,
  min(j.coverage_ratio) * 100 AS lowest_percent,
  max(j.coverage_ratio) * 100 AS highest_percent,
  f.share * 100 AS share_percent,
  f.low * 100 AS low_percent,
  f.peers,
  f.middle_share * 100 AS middle_percent
FROM flagged f
JOIN judged j ON f.institution_id = j.institution_id AND j.just_short
GROUP BY f.institution_id, f.n, f.k, f.days, f.share, f.low, f.peers, f.middle_share
