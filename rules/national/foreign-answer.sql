/*
id: foreign-answer
version: "1.0"
title: {zh: 床旁抽查由未受派设备作答, en: Spot checks answered by a device they were not sent to}
status: stable
basis: [国务院令第735号 第三十六条 / State Council Decree 735 art 36, 国家医保局令第7号 / NHSA Order 7]
stage: during
level: high
known_false_positives:
  - {zh: 检查终端当场更换而未改派, en: an inspector's unit that was exchanged on the spot and not readdressed}
explanation:
  zh: "{institution_id} 的 {checks} 次床旁抽查派给设备 {sent_to}，应答却来自设备 {answered_by}，其中 {present} 次答“在床”。应答须由受派设备作出，请核实由谁在何处应答。"
  en: "Device {answered_by} answered {checks} bedside check(s) at {institution_id} that had been sent to device {sent_to}, {present} of them as present. Only the device that was sent the check may answer it: find out who answered, and where."
examples:
  - title: {zh: 医院的设备替检查员作答, en: the ward's own device answers for the inspector's}
    tables:
      spot_checks:
        - {check_id: C1, visit_id: V1, drawn_at: "2026-03-04 10:00", result: present, sent_to_device_id: U1, answered_by_device_id: K1}
        - {check_id: C2, visit_id: V2, person_id: P2, drawn_at: "2026-03-04 10:00", result: present, sent_to_device_id: U1, answered_by_device_id: K1}
    flags:
      - {institution_id: H1, line_ids: [], evidence: [C1, C2]}
    neighbour:
      title: {zh: 受派设备作答，另一次无设备记录, en: "answered by the device itself, and once without a word of which"}
      tables:
        spot_checks:
          - {check_id: C1, visit_id: V1, drawn_at: "2026-03-04 10:00", result: present, sent_to_device_id: U1, answered_by_device_id: U1}
          - {check_id: C2, visit_id: V2, person_id: P2, drawn_at: "2026-03-04 10:00", result: present, sent_to_device_id: U1}
*/
SELECT
  institution_id,
  CASE WHEN count(DISTINCT person_id) = 1 THEN max(person_id) END AS person_id,
  CAST([] AS VARCHAR[]) AS line_ids,
  0 AS amount,
  min(drawn_at) AS from_at,
  max(coalesce(answered_at, drawn_at)) AS to_at,
  array_agg(check_id) AS evidence,
  sent_to_device_id AS sent_to,
  answered_by_device_id AS answered_by,
  count(*) AS checks,
  count(CASE WHEN result = 'present' THEN 1 END) AS present
FROM spot_checks
WHERE sent_to_device_id <> answered_by_device_id AND drawn_at_day BETWEEN $from_day AND $to_day
GROUP BY institution_id, sent_to_device_id, answered_by_device_id
