/*
id: outages-with-bills
version: "1.0"
title: {zh: 设备停机日计费反而更多, en: More is billed on the days on which the devices were down}
status: stable
basis: [国务院令第735号 第四十条（伪造、隐匿电子信息） / State Council Decree 735 art 40]
stage: after
level: medium
parameters:
  outage_below:
    unit: share
    meaning: {zh: 覆盖率低于此数的日子为停机日, en: "a day whose coverage is below this is a day of outage"}
    values:
      - {from: 2020-01-01, value: 0.8, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_days:
    unit: days
    meaning: {zh: 起评停机天数, en: "fewer days of outage than this are events"}
    values:
      - {from: 2020-01-01, value: 4, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  times_usual:
    unit: times
    meaning: {zh: 停机日的日均条数须达到其余日子的倍数, en: "how many times the lines of the other days a day of outage must have"}
    values:
      - {from: 2020-01-01, value: 1.5, reference: "忙日与闲日之差小于此数 / busy and quiet weekdays differ by less"}
  z:
    unit: standard deviations
    meaning: {zh: Wilson 区间的置信系数, en: "width of the Wilson interval"}
    values:
      - {from: 2020-01-01, value: 3, reference: "约七百家正常机构中有一家会偶然超出；Wilson 1927 / about one clean institution in 700 lies outside by chance; Wilson 1927"}
known_false_positives:
  - {zh: 停电停网恰逢每周最忙的几天, en: outages that happened to fall on the busiest days of the week}
explanation:
  zh: "{institution_id} 在 {days} 个有计费的日子里有 {outage_days} 天设备停机；这些天计费透析 {k} 条（日均 {daily_out} 条，{amount} 元），其余日子日均 {daily_up} 条。停机日所占条数为 {share_percent}%，区间下限 {low_percent}%，按天数应为 {expected_percent}%。"
  en: "Devices at {institution_id} were down on {outage_days} of {days} days with bills; {k} dialysis lines fall on those days ({daily_out} a day, {amount} yuan) against {daily_up} a day otherwise: {share_percent} % of the lines (lower end of the interval {low_percent} %) on {expected_percent} % of the days."
examples:
  - title: {zh: 停机五天，每天十五人；平日五人, en: fifteen a day on five days of outage and five a day otherwise}
    tables:
      institutions: [{institution_id: H1}]
      claim_lines:
        - {repeat: 15, every_minutes: 1440, line_id: "A{n}", person_id: "A{n}", item_code: HD, service_time: "2026-03-02 10:00"}
        - {repeat: 15, every_minutes: 1440, line_id: "B{n}", person_id: "B{n}", item_code: HD, service_time: "2026-03-02 11:00"}
        - {repeat: 75, every_minutes: 96, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-17 00:10"}
      coverage:
        - {from_at: "2026-03-01 00:00", to_at: "2026-03-17 00:00"}
    flags:
      - {institution_id: H1, amount: 30000}
    neighbour:
      title: {zh: 停机日与平日一样多, en: no more on the days of outage than otherwise}
      tables:
        claim_lines:
          - {repeat: 15, every_minutes: 1440, line_id: "A{n}", person_id: "A{n}", item_code: HD, service_time: "2026-03-02 10:00"}
          - {repeat: 15, every_minutes: 1440, line_id: "B{n}", person_id: "B{n}", item_code: HD, service_time: "2026-03-02 11:00"}
          - {repeat: 10, every_minutes: 720, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-17 00:10"}
*/
WITH by_day AS (
  SELECT v.institution_id, s.service_day, min(v.coverage_ratio) < CAST($outage_below AS DOUBLE) AS down, count(*) AS lines
  FROM line_verdicts v
  JOIN scope_lines s ON v.line = s.line
  WHERE v.rule_id = 'line-haemodialysis' AND s.service_day BETWEEN $from_day AND $to_day
  GROUP BY v.institution_id, s.service_day
),
counted AS (
  SELECT
    institution_id,
    count(*) AS days,
    count(CASE WHEN down THEN 1 END) AS outage_days,
    sum(lines) AS n,
    sum(CASE WHEN down THEN lines ELSE 0 END) AS k
  FROM by_day
  GROUP BY institution_id
),
rated AS (
  SELECT
    *,
    CAST(n AS DOUBLE) AS trials,
    CAST(k AS DOUBLE) / CAST(n AS DOUBLE) AS share,
    CAST(outage_days AS DOUBLE) AS out_days,
    CAST(days - outage_days AS DOUBLE) AS up_days,
    CAST($z AS DOUBLE) AS z
  FROM counted
  WHERE outage_days >= $fewest_days AND days - outage_days >= $fewest_days
),
bounded AS (
  SELECT
    *,
    (share + z * z / (2 * trials) - z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))) / (1 + z * z / trials) AS low
  FROM rated
),
-- at `times` the lines a day, days of outage would have this share of all lines
flagged AS (
  SELECT *
  FROM bounded
  WHERE low > CAST($times_usual AS DOUBLE) * out_days / (CAST($times_usual AS DOUBLE) * out_days + up_days)
)
SELECT
  f.institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  array_agg(v.line_id) AS line_ids,
  sum(v.amount) AS amount,
  min(s.service_time) AS from_at,
  max(s.service_time) AS to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  f.days,
  f.outage_days,
  f.k,
  f.k / f.out_days AS daily_out,
  (f.n - f.k) / f.up_days AS daily_up,
  f.share * 100 AS share_percent,
  f.low * 100 AS low_percent,
  f.out_days / (f.out_days + f.up_days) * 100 AS expected_percent
FROM flagged f
JOIN by_day d ON f.institution_id = d.institution_id AND d.down
JOIN scope_lines s ON d.institution_id = s.institution_id AND d.service_day = s.service_day
JOIN line_verdicts v ON s.line = v.line AND v.rule_id = 'line-haemodialysis'
GROUP BY f.institution_id, f.days, f.outage_days, f.k, f.n, f.out_days, f.up_days, f.share, f.low
