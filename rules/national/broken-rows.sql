/*
id: broken-rows
version: "1.0"
title: {zh: 损坏的数据记录过多, en: Too many broken rows}
status: stable
basis: [国务院令第735号 第四十条（伪造、变造、隐匿电子信息） / State Council Decree 735 art 40]
stage: after
level: medium
parameters:
  fewest:
    unit: rows
    meaning: {zh: 起评条数, en: "fewer broken rows than this are slips"}
    values:
      - {from: 2020-01-01, value: 10, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  most_share:
    unit: share
    meaning: {zh: 损坏记录或靠损坏记录免于判定的费用占比的上限（区间下限须超过）, en: "the share of rows that could not be read, or lines that only a broken row keeps from a verdict that the interval's lower end must exceed"}
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
  - {zh: 接口升级期间的格式变化, en: a format that changed with an interface}
  - {zh: 导入时选错了编码, en: a file that was read with the wrong encoding}
explanation:
  zh: "{institution_id} {what_zh}：{k} 条（共 {n} 条，{amount} 元），占 {share_percent}%（区间下限 {low_percent}%）。本统筹区其余 {peers} 家机构参与比较，全区中位数为 {middle_percent}%。读不出的记录既不能证明也不能否定任何事，请要求机构更正后重报。"
  en: "{institution_id}: {k} of {n} {what_en}, {amount} yuan: {share_percent} % (lower end of the interval {low_percent} %). Compared with {peers} other institution(s) of the region; the region's median is {middle_percent} %. A row that cannot be read proves nothing either way: ask the institution to correct it and send it again."
examples:
  - title: {zh: 二十条费用读不出, en: twenty billed rows that could not be read}
    tables:
      institutions: [{institution_id: H1}, {institution_id: H2}]
      claim_lines:
        - {repeat: 20, every_minutes: 1440, line_id: "L{n}", item_code: HD, service_time: "2026-03-02 10:00"}
        - {repeat: 20, every_minutes: 1440, institution_id: H2, line_id: "M{n}", person_id: P2, item_code: HD, service_time: "2026-03-02 10:00"}
      rejects:
        - {repeat: 20, person_id: P1, amount: 400, reason: service_time cannot be read, field: service_time}
    flags:
      - {institution_id: H1, line_ids: [], amount: 8000}
    neighbour:
      title: {zh: 两条, en: two rows}
      tables:
        rejects:
          - {repeat: 2, person_id: P1, amount: 400, reason: service_time cannot be read, field: service_time}
*/
-- Two kinds of counting: billed rows that an importer did not take, and dialysis lines that a broken row shields.
WITH refused AS (
  SELECT r.institution_id, count(*) AS k, sum(coalesce(r.amount, 0)) AS yuan
  FROM rejects r
  WHERE r."table" = 'claim_lines'
    AND r.institution_id IS NOT NULL
    AND (r.day IS NULL OR r.day BETWEEN $from_day AND $to_day)
  GROUP BY r.institution_id
),
taken AS (
  SELECT institution_id, count(*) AS n
  FROM claim_lines
  WHERE service_time_day BETWEEN $from_day AND $to_day
  GROUP BY institution_id
),
shielded AS (
  SELECT
    institution_id,
    count(*) AS n,
    count(CASE WHEN reason = 'broken_row' THEN 1 END) AS k,
    sum(CASE WHEN reason = 'broken_row' THEN amount ELSE 0 END) AS yuan
  FROM line_verdicts
  GROUP BY institution_id
),
institutions_heard AS (
  SELECT institution_id FROM taken
  UNION
  SELECT institution_id FROM refused
),
counted AS (
  SELECT
    h.institution_id,
    'refused' AS kind,
    coalesce(t.n, 0) + coalesce(r.k, 0) AS n,
    coalesce(r.k, 0) AS k,
    coalesce(r.k, 0) AS days
  FROM institutions_heard h
  LEFT JOIN taken t ON h.institution_id = t.institution_id
  LEFT JOIN refused r ON h.institution_id = r.institution_id
  UNION ALL
  SELECT institution_id, 'shielded' AS kind, n, k, k AS days FROM shielded
),
placed AS (
  SELECT
    c.institution_id,
    c.kind,
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
    row_number() OVER (PARTITION BY region, kind ORDER BY share, institution_id) AS place,
    count(*) OVER (PARTITION BY region, kind) AS in_region
  FROM placed
),
-- the share that half of the institutions of the region do not exceed
middle AS (
  SELECT region, kind, share AS middle_share FROM ranked WHERE place = (in_region + 1) // 2
),
bounded AS (
  SELECT
    r.*,
    r.in_region - 1 AS peers,
    CASE WHEN r.in_region > 1 THEN m.middle_share END AS middle_share,
    (share + z * z / (2 * trials) - z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))) / (1 + z * z / trials) AS low
  FROM ranked r
  JOIN middle m ON r.region = m.region AND r.kind = m.kind
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
  CASE WHEN f.kind = 'refused' THEN coalesce(r.yuan, 0) ELSE coalesce(s.yuan, 0) END AS amount,
  $from_day * 86400000000 AS from_at,
  $to_day * 86400000000 AS to_at,
  [f.kind] AS evidence,
  CASE WHEN f.kind = 'refused' THEN '上报的费用记录无法读取' ELSE '仅因损坏的记录而未能判定的费用' END AS what_zh,
  CASE
    WHEN f.kind = 'refused' THEN 'billed rows could not be read'
    ELSE 'lines are kept from a verdict only by a broken row of evidence'
  END AS what_en,
  f.n,
  f.k,
  f.share * 100 AS share_percent,
  f.low * 100 AS low_percent,
  f.peers,
  f.middle_share * 100 AS middle_percent
FROM flagged f
LEFT JOIN refused r ON f.institution_id = r.institution_id
LEFT JOIN shielded s ON f.institution_id = s.institution_id
WHERE f.k >= $fewest
