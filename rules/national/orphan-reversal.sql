/*
id: orphan-reversal
version: "1.0"
title: {zh: 冲销对象不存在, en: Reversals of lines that nobody knows}
status: stable
basis: [国务院令第735号 第四十条（伪造、变造会计凭证和电子信息） / State Council Decree 735 art 40]
stage: after
level: medium
parameters:
  fewest:
    unit: lines
    meaning: {zh: 起评条数, en: "fewer such lines than this are slips"}
    values:
      - {from: 2020-01-01, value: 5, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  most_share:
    unit: share
    meaning: {zh: 冲销对象不存在的费用占比的上限（区间下限须超过）, en: "the share of lines that claim to reverse a line which is not there that the interval's lower end must exceed"}
    values:
      - {from: 2020-01-01, value: 0.02, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  times_peers:
    unit: times
    meaning: {zh: 须超过本统筹区机构中位数的倍数, en: "how many times the middle share of the region's institutions it must exceed"}
    values:
      - {from: 2020-01-01, value: 3, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_days:
    unit: days
    meaning: {zh: 起评天数，少于此数不作评价, en: "fewer days than this are an event and no habit"}
    values:
      - {from: 2020-01-01, value: 1, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  z:
    unit: standard deviations
    meaning: {zh: Wilson 区间的置信系数, en: "width of the Wilson interval"}
    values:
      - {from: 2020-01-01, value: 3, reference: "约七百家正常机构中有一家会偶然超出；Wilson 1927 / about one clean institution in 700 lies outside by chance; Wilson 1927"}
known_false_positives:
  - {zh: 原费用在更早月份，未随本次数据提供, en: the line that was reversed is of an earlier month and not among the tables}
  - {zh: 冲销跨就诊人合并，原人号已变更, en: a person whose number was changed and not reported as an alias}
explanation:
  zh: "{institution_id} 本期 {k} 条（绝对金额 {amount} 元）声称冲销本机构该参保人名下并不存在的费用，其中 {positive} 条金额为正、共 {positive_yuan} 元；占本期全部 {n} 条的 {share_percent}%（区间下限 {low_percent}%）。本统筹区其余 {peers} 家机构参与比较，全区中位数为 {middle_percent}%。"
  en: "{k} line(s) of {institution_id} ({amount} yuan regardless of sign) claim to reverse a line of the same person there that does not exist; {positive} of them are positive bills of {positive_yuan} yuan. They make up {share_percent} % of {n} lines (lower end of the interval {low_percent} %). Compared with {peers} other institution(s) of the region; the region's median is {middle_percent} %."
examples:
  - title: {zh: 十条正数“冲销”并无原费用, en: ten positive lines that say they reverse something}
    tables:
      claim_lines:
        - {repeat: 10, every_minutes: 1440, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-02 10:00", reverses_line_id: "NONE{n}"}
    flags:
      - {institution_id: H1, amount: 4000}
    neighbour:
      title: {zh: 原费用都在, en: every reversal has its line}
      tables:
        claim_lines:
          - {repeat: 10, every_minutes: 1440, line_id: "NONE{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-02 10:00"}
          - {repeat: 10, every_minutes: 1440, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-03 10:00", quantity: -1, amount: -400, reverses_line_id: "NONE{n}"}
  - title: {zh: 冲销他人的费用, en: reversals of another person's lines}
    tables:
      claim_lines:
        - {repeat: 10, every_minutes: 1440, line_id: "K{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-02 10:00"}
        - {repeat: 10, every_minutes: 1440, line_id: "L{n}", person_id: "Q{n}", item_code: HD, service_time: "2026-03-03 10:00", quantity: -1, amount: -400, reverses_line_id: "K{n}"}
    flags:
      - {institution_id: H1, line_ids: [L0, L1, L2, L3, L4, L5, L6, L7, L8, L9]}
    neighbour:
      title: {zh: 偶有两条, en: two of them are slips}
      tables:
        claim_lines:
          - {repeat: 10, every_minutes: 1440, line_id: "K{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-02 10:00"}
          - {repeat: 2, every_minutes: 1440, line_id: "L{n}", person_id: "Q{n}", item_code: HD, service_time: "2026-03-03 10:00", quantity: -1, amount: -400, reverses_line_id: "K{n}"}
*/
WITH orphans AS (
  SELECT r.line_id, r.institution_id, r.service_time, r.service_time_day, r.amount
  FROM claim_lines r
  ANTI JOIN claim_lines t
    ON r.institution_id = t.institution_id
    AND r.reverses_line_id = t.line_id
    AND r.person_id = t.person_id
  WHERE r.reverses_line_id IS NOT NULL AND r.service_time_day BETWEEN $from_day AND $to_day
),
totals AS (
  SELECT institution_id, count(*) AS n
  FROM claim_lines
  WHERE service_time_day BETWEEN $from_day AND $to_day
  GROUP BY institution_id
),
lost AS (
  SELECT institution_id, count(*) AS k, count(DISTINCT service_time_day) AS days FROM orphans GROUP BY institution_id
),
counted AS (
  SELECT t.institution_id, t.n, coalesce(o.k, 0) AS k, coalesce(o.days, 0) AS days
  FROM totals t
  LEFT JOIN lost o ON t.institution_id = o.institution_id
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
  array_agg(o.line_id) AS line_ids,
  sum(abs(o.amount)) AS amount,
  min(o.service_time) AS from_at,
  max(o.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  f.n,
  f.k,
  count(CASE WHEN o.amount > 0 THEN 1 END) AS positive,
  sum(CASE WHEN o.amount > 0 THEN o.amount ELSE 0 END) AS positive_yuan,
  f.share * 100 AS share_percent,
  f.low * 100 AS low_percent,
  f.peers,
  f.middle_share * 100 AS middle_percent
FROM flagged f
JOIN orphans o ON f.institution_id = o.institution_id
WHERE f.k >= $fewest
GROUP BY f.institution_id, f.n, f.k, f.share, f.low, f.peers, f.middle_share
