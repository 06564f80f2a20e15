/*
id: weak-evidence-share
version: "1.0"
title: {zh: 证据不足的费用占比过高, en: Too large a share of what was billed ends without evidence}
status: stable
basis: [国务院令第735号 第四十条 / State Council Decree 735 art 40, 国家医保局令第7号 / NHSA Order 7]
stage: after
level: medium
parameters:
  most_share:
    unit: share
    meaning: {zh: 某一理由的证据不足费用占比的上限（区间下限须超过）, en: "the share of lines that ended insufficient for one reason that the interval's lower end must exceed"}
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
  - {zh: 设备故障长期未修复，且已报备, en: a broken device that was reported and waited long for its repair}
  - {zh: 新装设备的试运行期, en: the first weeks of a new installation}
  - {zh: 以重症床旁透析为主的医院, en: a hospital that dialyses mostly at the bedside of its inpatients}
explanation:
  zh: "{institution_id} 本期同类费用 {n} 条中有 {k} 条（{days} 天，{amount} 元）判为证据不足，理由为“{reason}”，占 {share_percent}%（区间下限 {low_percent}%）。本统筹区其余 {peers} 家机构参与比较，全区中位数为 {middle_percent}%。证据不足不等于违规，但长期如此使费用无从核实。"
  en: "{k} of {n} lines of that kind at {institution_id} (on {days} days, {amount} yuan) ended as insufficient evidence, the reason being “{reason}”: {share_percent} % (lower end of the interval {low_percent} %). Compared with {peers} other institution(s) of the region; the region's median is {middle_percent} %. Insufficient evidence is no violation, but as a habit it puts the bills beyond checking."
examples:
  - title: {zh: 整月没有设备覆盖, en: three weeks without any coverage}
    tables:
      institutions: [{institution_id: H1}, {institution_id: H2}, {institution_id: H3}]
      claim_lines:
        - {repeat: 20, every_minutes: 1440, line_id: "L{n}", person_id: "P{n}", item_code: HD, service_time: "2026-03-02 10:00"}
        - {repeat: 20, every_minutes: 1440, institution_id: H2, line_id: "M{n}", person_id: "Q{n}", item_code: HD, service_time: "2026-03-02 10:00"}
        - {repeat: 20, every_minutes: 1440, institution_id: H3, line_id: "N{n}", person_id: "R{n}", item_code: HD, service_time: "2026-03-02 10:00"}
      attendance:
        - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "E{n}", person_id: "Q{n}", occurred_at: "2026-03-02 08:00"}
        - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "F{n}", person_id: "Q{n}", event_type: sign_out, occurred_at: "2026-03-02 12:00"}
        - {repeat: 20, every_minutes: 1440, institution_id: H3, event_id: "G{n}", person_id: "R{n}", occurred_at: "2026-03-02 08:00"}
        - {repeat: 20, every_minutes: 1440, institution_id: H3, event_id: "I{n}", person_id: "R{n}", event_type: sign_out, occurred_at: "2026-03-02 12:00"}
    flags:
      - {institution_id: H1, amount: 8000}
    neighbour:
      title: {zh: 一次停机三天, en: one outage of three days among three weeks}
      tables:
        attendance:
          - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "E{n}", person_id: "Q{n}", occurred_at: "2026-03-02 08:00"}
          - {repeat: 20, every_minutes: 1440, institution_id: H2, event_id: "F{n}", person_id: "Q{n}", event_type: sign_out, occurred_at: "2026-03-02 12:00"}
          - {repeat: 20, every_minutes: 1440, institution_id: H3, event_id: "G{n}", person_id: "R{n}", occurred_at: "2026-03-02 08:00"}
          - {repeat: 20, every_minutes: 1440, institution_id: H3, event_id: "I{n}", person_id: "R{n}", event_type: sign_out, occurred_at: "2026-03-02 12:00"}
          - {repeat: 17, every_minutes: 1440, event_id: "J{n}", person_id: "P{n}", occurred_at: "2026-03-02 08:00"}
          - {repeat: 17, every_minutes: 1440, event_id: "K{n}", person_id: "P{n}", event_type: sign_out, occurred_at: "2026-03-02 12:00"}
  - title: {zh: 病区设备长期失效, en: a ward camera that is down day after day}
    tables:
      institutions: [{institution_id: H1}]
      stays: [{visit_id: V1, admitted_at: "2026-03-01 09:00"}]
      claim_lines:
        - {repeat: 20, every_minutes: 1440, line_id: "L{n}", visit_id: V1, item_code: BED, service_time: "2026-03-02 08:00", amount: 50}
      coverage:
        - {purpose: inpatient, state: down, from_at: "2026-03-01 00:00", to_at: "2026-03-31 00:00"}
    flags:
      - {institution_id: H1, amount: 1000}
    neighbour:
      title: {zh: 没有病区设备，不作判断, en: "a ward without a camera: nothing is concluded"}
      tables:
        coverage: []
*/
-- A bed that no camera saw says nothing of a ward without cameras, and never-seen judges those whose camera was up.
WITH devices AS (
  SELECT DISTINCT institution_id FROM coverage WHERE purpose = 'inpatient'
),
judged AS (
  SELECT
    v.line,
    v.line_id,
    v.institution_id,
    v.amount,
    v.rule_id AS kind,
    s.service_day,
    s.service_time,
    v.reason
  FROM line_verdicts v
  JOIN scope_lines s ON v.line = s.line
  LEFT JOIN devices d ON v.institution_id = d.institution_id
  WHERE v.verdict = 'insufficient'
    AND (v.reason <> 'not_seen' OR (d.institution_id IS NOT NULL AND v.coverage_ratio < 0.5))
),
totals AS (
  SELECT institution_id, rule_id AS kind, count(*) AS n FROM line_verdicts GROUP BY institution_id, rule_id
),
reasons AS (
  SELECT DISTINCT kind, reason FROM judged
),
weak AS (
  SELECT institution_id, kind, reason, count(*) AS k, count(DISTINCT service_day) AS days
  FROM judged
  GROUP BY institution_id, kind, reason
),
counted AS (
  SELECT t.institution_id, t.kind, r.reason, t.n, coalesce(w.k, 0) AS k, coalesce(w.days, 0) AS days
  FROM totals t
  JOIN reasons r ON t.kind = r.kind
  LEFT JOIN weak w ON t.institution_id = w.institution_id AND t.kind = w.kind AND r.reason = w.reason
),
placed AS (
  SELECT
    c.institution_id,
    c.kind,
    c.reason,
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
    row_number() OVER (PARTITION BY region, kind, reason ORDER BY share, institution_id) AS place,
    count(*) OVER (PARTITION BY region, kind, reason) AS in_region
  FROM placed
),
-- the share that half of the institutions of the region do not exceed
middle AS (
  SELECT region, kind, reason, share AS middle_share FROM ranked WHERE place = (in_region + 1) // 2
),
bounded AS (
  SELECT
    r.*,
    r.in_region - 1 AS peers,
    CASE WHEN r.in_region > 1 THEN m.middle_share END AS middle_share,
    (share + z * z / (2 * trials) - z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))) / (1 + z * z / trials) AS low
  FROM ranked r
  JOIN middle m ON r.region = m.region AND r.kind = m.kind AND r.reason = m.reason
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
  f.reason,
  f.n,
  f.k,
  f.days,
  f.share * 100 AS share_percent,
  f.low * 100 AS low_percent,
  f.peers,
  f.middle_share * 100 AS middle_percent
FROM flagged f
JOIN judged j ON f.institution_id = j.institution_id AND f.kind = j.kind AND f.reason = j.reason
WHERE j.service_day BETWEEN $from_day AND $to_day
GROUP BY f.institution_id, f.kind, f.reason, f.n, f.k, f.days, f.share, f.low, f.peers, f.middle_share
