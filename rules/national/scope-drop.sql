/*
id: scope-drop
version: "1.0"
title: {zh: 进入核对的费用骤减, en: What can be audited falls while billing goes on}
status: stable
basis: [国务院令第735号 第三十八条（串换诊疗项目） / State Council Decree 735 art 38]
stage: after
level: medium
parameters:
  weeks_before:
    unit: weeks
    meaning: {zh: 作为对照的此前周数, en: "weeks before that are compared with"}
    values:
      - {from: 2020-01-01, value: 4, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  fewest_lines:
    unit: lines a week
    meaning: {zh: 此前每周进入核对的最少条数, en: "fewer lines in scope a week than this say nothing"}
    values:
      - {from: 2020-01-01, value: 10, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  left_share:
    unit: share
    meaning: {zh: 占比和条数均降至此前的多少以下, en: "both the share of lines in scope and their number must have fallen below this part of what they were"}
    values:
      - {from: 2020-01-01, value: 0.5, reference: "本规则库的工作值，由地区自行设定 / working value of this pack; a region sets its own"}
  z:
    unit: standard deviations
    meaning: {zh: Wilson 区间的置信系数, en: "width of the Wilson interval"}
    values:
      - {from: 2020-01-01, value: 3, reference: "约七百家正常机构中有一家会偶然超出；Wilson 1927 / about one clean institution in 700 lies outside by chance; Wilson 1927"}
known_false_positives:
  - {zh: 透析室停用检修, en: a dialysis unit that is closed for repair}
  - {zh: 新开科室使其他费用大增, en: a new department that bills much else}
explanation:
  zh: "{institution_id} 一周内共计费 {all_now} 条，进入核对的透析和床位费用只有 {scope_now} 条（{share_percent}%，区间上限 {high_percent}%）；此前 {weeks_before} 周平均每周 {scope_before} 条，占 {before_percent}%。请核对该机构是否更换了编码（本周有 {unknown_now} 条为目录外编码）。"
  en: "{institution_id} billed {all_now} lines in one week, of which only {scope_now} can be audited ({share_percent} %, upper end of the interval {high_percent} %); in the {weeks_before} weeks before it was {scope_before} a week, {before_percent} %. Check whether it has changed its codes: in that week {unknown_now} line(s) were billed under codes that are not in the catalogue."
examples:
  - title: {zh: 第五周起改用目录外编码, en: other codes from the fifth week on}
    tables:
      item_catalogue: [{item_code: DRUG}]
      claim_lines:
        - {repeat: 56, every_minutes: 720, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-02-02 01:00"}
        - {repeat: 70, every_minutes: 720, line_id: "M{n}", person_id: "Q{n}", item_code: DRUG, service_time: "2026-02-02 02:00", amount: 30}
        - {repeat: 14, every_minutes: 720, line_id: "N{n}", person_id: "R{n}", item_code: NEW, service_time: "2026-03-02 01:00"}
    flags:
      - {institution_id: H1, line_ids: []}
    neighbour:
      title: {zh: 春节放假，各项费用一同减少, en: a holiday on which everything falls}
      tables:
        claim_lines:
          - {repeat: 56, every_minutes: 720, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-02-02 01:00"}
          - {repeat: 56, every_minutes: 720, line_id: "M{n}", person_id: "Q{n}", item_code: DRUG, service_time: "2026-02-02 02:00", amount: 30}
          - {repeat: 4, every_minutes: 2880, line_id: "N{n}", person_id: "R{n}", item_code: HD, service_time: "2026-03-02 01:00"}
          - {repeat: 20, every_minutes: 480, line_id: "O{n}", person_id: "S{n}", item_code: HD, service_time: "2026-03-02 03:00"}
*/
-- It compares with the weeks before as far as the tables hold them: a nightly run must be given five weeks of lines.
-- Weeks begin on Monday; only a week that ended within the period is looked at.
WITH classed AS (
  SELECT item_code, max(item_class) AS item_class FROM item_catalogue GROUP BY item_code
),
weekly AS (
  SELECT
    c.institution_id,
    (c.service_time_day + 3) // 7 AS week,
    count(*) AS lines,
    count(CASE WHEN k.item_class NOT IN ('other', 'peritoneal_dialysis') THEN 1 END) AS in_scope,
    count(CASE WHEN k.item_code IS NULL THEN 1 END) AS unknown,
    min(c.service_time) AS from_at,
    max(c.service_time) AS to_at
  FROM claim_lines c
  LEFT JOIN classed k ON c.item_code = k.item_code
  WHERE c.service_time_day BETWEEN $from_day - 7 * $weeks_before - 7 AND $to_day
  GROUP BY c.institution_id, (c.service_time_day + 3) // 7
),
compared AS (
  SELECT
    n.institution_id,
    n.week,
    n.from_at,
    n.to_at,
    n.lines AS all_now,
    n.in_scope AS scope_now,
    n.unknown AS unknown_now,
    sum(b.lines) AS all_before,
    sum(b.in_scope) AS all_scope_before
  FROM weekly n
  JOIN weekly b ON n.institution_id = b.institution_id AND b.week BETWEEN n.week - $weeks_before AND n.week - 1
  WHERE n.week * 7 + 3 BETWEEN $from_day AND $to_day
  GROUP BY n.institution_id, n.week, n.from_at, n.to_at, n.lines, n.in_scope, n.unknown
  HAVING count(*) = $weeks_before AND min(b.in_scope) >= $fewest_lines
),
rated AS (
  SELECT
    *,
    CAST(all_now AS DOUBLE) AS trials,
    CAST(scope_now AS DOUBLE) / CAST(all_now AS DOUBLE) AS share,
    CAST(all_scope_before AS DOUBLE) / CAST(all_before AS DOUBLE) AS share_before,
    CAST(all_scope_before AS DOUBLE) / CAST($weeks_before AS DOUBLE) AS scope_before,
    CAST($z AS DOUBLE) AS z
  FROM compared
),
bounded AS (
  SELECT
    *,
    (share + z * z / (2 * trials) + z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))) / (1 + z * z / trials) AS high
  FROM rated
)
SELECT
  institution_id,
  CAST(NULL AS VARCHAR) AS person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  from_at,
  to_at,
  CAST([] AS VARCHAR[]) AS evidence,
  all_now,
  scope_now,
  unknown_now,
  scope_before,
  $weeks_before AS weeks_before,
  share * 100 AS share_percent,
  high * 100 AS high_percent,
  share_before * 100 AS before_percent
FROM bounded
WHERE high < share_before * CAST($left_share AS DOUBLE)
  AND CAST(scope_now AS DOUBLE) < scope_before * CAST($left_share AS DOUBLE)
