-- Lines of one or two sessions may have been entered a few days late: on how many of those days, on which no session
-- of the person is known, the devices could not have seen them. Another line of the class keeps its own day for itself,
-- unless a session of an earlier day serves it. Where the institution is seen to enter a person's fees late, which of
-- them lacks its session is the assignment's choice: all days of late billing count, less those that earlier lines
-- without a session need.
WITH begun AS (
  SELECT institution_id, min(from_at_day) AS day
  FROM coverage
  WHERE purpose = 'dialysis'
  GROUP BY institution_id
),
entered_late AS (
  SELECT DISTINCT l.institution_id, l.person_id, l.service_day
  FROM late_served n
  JOIN dialysis_lines l ON n.line = l.line
),
late AS (
  SELECT DISTINCT l.line
  FROM open_lines l
  JOIN entered_late e
    ON l.institution_id = e.institution_id
    AND l.person_id = e.person_id
    AND e.service_day BETWEEN l.service_day - l.late_billing_days AND l.service_day + l.late_billing_days
),
reaching AS (
  SELECT
    l.*,
    CASE WHEN a.line IS NULL THEN l.late_entry_days ELSE l.late_billing_days END AS reach,
    a.line IS NOT NULL AS is_late
  FROM open_lines l
  LEFT JOIN late a ON l.line = a.line
  WHERE l.needed <= 2
),
dark AS (
  SELECT l.line, l.institution_id, l.person_id, l.item_class, w.day
  FROM reaching l
  JOIN windows w ON w.day BETWEEN l.service_day - l.reach AND l.service_day - 1
  JOIN begun b ON l.institution_id = b.institution_id AND w.day >= b.day
  ANTI JOIN watched_days d ON l.institution_id = d.institution_id AND w.day = d.day
  WHERE w.purpose = 'dialysis'
),
on_their_day AS (
  SELECT o.institution_id, o.person_id, o.item_class, o.service_day
  FROM dialysis_lines o
  ANTI JOIN late_served n ON o.line = n.line
),
unseen AS (
  SELECT d.line, count(*) AS days
  FROM dark d
  ANTI JOIN dialysis_sessions s
    ON d.institution_id = s.institution_id
    AND d.person_id = s.person_id
    AND d.day >= s.first_day
    AND d.day <= s.last_day
  ANTI JOIN on_their_day o
    ON d.institution_id = o.institution_id
    AND d.person_id = o.person_id
    AND d.item_class = o.item_class
    AND d.day = o.service_day
  GROUP BY d.line
),
-- lines of a covered day that found no session, and no session for all they need
lacking AS (
  SELECT l.institution_id, l.person_id, l.service_day, l.lacking - coalesce(n.sessions, 0) AS sessions
  FROM open_lines l
  LEFT JOIN late_served n ON l.line = n.line
  SEMI JOIN watched_days d ON l.institution_id = d.institution_id AND l.service_day = d.day
  WHERE l.needed <= 2
    AND l.hours_us IS NULL
    AND l.lacking > coalesce(n.sessions, 0)
),
needed_before AS (
  SELECT l.line, sum(k.sessions) AS sessions
  FROM reaching l
  JOIN lacking k
    ON l.institution_id = k.institution_id
    AND l.person_id = k.person_id
    AND k.service_day BETWEEN l.service_day - l.reach AND l.service_day - 1
  WHERE l.is_late
  GROUP BY l.line
)
SELECT u.line, u.days - coalesce(b.sessions, 0) AS dark_days
FROM unseen u
LEFT JOIN needed_before b ON u.line = b.line
