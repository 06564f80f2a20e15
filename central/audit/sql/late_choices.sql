-- Sessions that a line could take though its fee was entered late: before it, used by no line of its class, and by none
-- that was entered on another day for dialysis of another kind: one session is one treatment, to which perfusion alone
-- may be added. Else each session by filtration would carry a later line for haemodialysis that nobody came for.
WITH used AS (
  SELECT a.session, l.item_class, l.alone AS whole, l.service_day
  FROM assigned a
  JOIN dialysis_lines l ON a.line = l.line
)
SELECT
  l.line,
  l.line_id,
  l.institution_id,
  l.person_id,
  l.item_class,
  l.service_time,
  l.lacking AS needed,
  s.session,
  s.signed_in_at,
  s.standing <= 1 AS supporting,
  greatest(0, l.service_time - s.ended_at) AS gap_us
FROM open_lines l
JOIN dialysis_sessions s
  ON l.institution_id = s.institution_id
  AND l.person_id = s.person_id
  AND s.signed_in_at BETWEEN l.service_time - l.late_billing_us AND l.service_time
ANTI JOIN used u
  ON s.session = u.session
  AND (
    l.item_class = u.item_class
    OR (u.whole AND l.alone AND l.service_day <> u.service_day)
  )
ANTI JOIN session_conflicts c ON s.session = c.session
WHERE l.hours_us IS NULL
  AND (NOT l.dead OR (s.first_day <= l.death_date AND s.ended_at <= l.ended_by))
