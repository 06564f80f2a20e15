/*
id: checks-not-answered
version: "1.0"
title: {zh: 床旁抽查屡未应答, en: Bed checks that get no answer}
status: stable
basis: [国务院令第735号 第三十六条（不得拒绝、阻挠监督检查） / State Council Decree 735 art 36, 第三十八条（挂床住院） / art 38]
stage: during
level: medium
parameters:
  most_share:
    unit: share
    meaning: {zh: 未应答、被拒或外出无请假记录的床旁抽查占比的上限（区间下限须超过）, en: "the share of checks that were refused, unanswered, or answered as away without a leave that the interval's lower end must exceed"}
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
      - {from: 2020-01-01, value: 5, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  z:
    unit: standard deviations
    meaning: {zh: Wilson 区间的置信系数, en: "width of the Wilson interval"}
    values:
      - {from: 2020-01-01, value: 3, reference: "约七百家正常机构中有一家会偶然超出；Wilson 1927 / about one clean institution in 700 lies outside by chance; Wilson 1927"}
known_false_positives:
  - {zh: 检查终端故障或病区网络中断, en: an inspector's unit that failed or a ward without a network}
explanation:
  zh: "{institution_id} 本期床旁抽查 {n} 次，其中 {k} 次（{days} 天）未应答（{unanswered} 次）、被拒（{refused} 次）或答“外出”而无请假记录（{away} 次），占 {share_percent}%（区间下限 {low_percent}%）。本统筹区其余 {peers} 家机构参与比较，全区中位数为 {middle_percent}%。"
  en: "{k} of {n} bedside checks at {institution_id} (on {days} days) went unanswered ({unanswered}), were refused ({refused}) or were answered as away without a recorded leave ({away}): {share_percent} % (lower end of the interval {low_percent} %). Compared with {peers} other institution(s) of the region; the region's median is {middle_percent} %."
examples:
  - title: {zh: 二十次床旁抽查无一有效应答, en: none of twenty checks answered}
    tables:
      institutions: [{institution_id: H1}, {institution_id: H2}]
      spot_checks:
        - {repeat: 10, every_minutes: 1440, check_id: "C{n}", visit_id: "V{n}", person_id: "P{n}", drawn_at: "2026-03-02 21:00", result: unanswered}
        - {repeat: 10, every_minutes: 1440, check_id: "D{n}", visit_id: "W{n}", person_id: "Q{n}", drawn_at: "2026-03-02 21:00", result: away_approved}
        - {repeat: 20, every_minutes: 1440, institution_id: H2, check_id: "E{n}", visit_id: "X{n}", person_id: "R{n}", drawn_at: "2026-03-02 21:00", result: present}
    flags:
      - {institution_id: H1, line_ids: []}
    neighbour:
      title: {zh: 外出均有请假, en: every absence has its leave}
      tables:
        spot_checks:
          - {repeat: 10, every_minutes: 1440, check_id: "D{n}", visit_id: "W{n}", person_id: "Q{n}", drawn_at: "2026-03-02 21:00", result: away_approved}
          - {repeat: 20, every_minutes: 1440, institution_id: H2, check_id: "E{n}", visit_id: "X{n}", person_id: "R{n}", drawn_at: "2026-03-02 21:00", result: present}
        leaves:
          - {repeat: 10, every_minutes: 1440, visit_id: "W{n}", person_id: "Q{n}", left_at: "2026-03-02 20:00", returned_at: "2026-03-02 22:00"}
*/
WITH drawn AS (
  SELECT check_id, institution_id, person_id, result, drawn_at, drawn_at_day, coalesce(answered_at, drawn_at) AS moment
  FROM spot_checks
  WHERE drawn_at_day BETWEEN $from_day AND $to_day
),
excused AS (
  SELECT DISTINCT d.check_id
  FROM drawn d
  JOIN leaves v
    ON d.institution_id = v.institution_id
    AND d.person_id = v.person_id
    AND d.moment >= v.left_at
    AND (coalesce(v.returned_at, v.due_back_at) IS NULL OR d.moment <= coalesce(v.returned_at, v.due_back_at))
),
answers AS (
  SELECT
    d.*,
    d.result IN ('refused', 'unanswered') OR (d.result = 'away_approved' AND e.check_id IS NULL) AS open
  FROM drawn d
  LEFT JOIN excused e ON d.check_id = e.check_id
),
counted AS (
  SELECT
    institution_id,
    count(*) AS n,
    count(CASE WHEN open THEN 1 END) AS k,
    count(DISTINCT CASE WHEN open THEN drawn_at_day END) AS days,
    count(CASE WHEN result = 'unanswered' THEN 1 END) AS unanswered,
    count(CASE WHEN result = 'refused' THEN 1 END) AS refused,
    count(CASE WHEN open AND result = 'away_approved' THEN 1 END) AS away,
    min(CASE WHEN open THEN drawn_at END) AS from_at,
    max(CASE WHEN open THEN drawn_at END) AS to_at,
    array_agg(CASE WHEN open THEN check_id END) AS checks
  FROM answers
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
  list_filter(c.checks, lambda x: x IS NOT NULL) AS evidence,
  f.n,
  f.k,
  f.days,
  c.unanswered,
  c.refused,
  c.away,
  f.share * 100 AS share_percent,
  f.low * 100 AS low_percent,
  f.peers,
  f.middle_share * 100 AS middle_percent
FROM flagged f
JOIN counted c ON f.institution_id = c.institution_id
