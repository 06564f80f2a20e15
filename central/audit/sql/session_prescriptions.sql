-- The prescribed minutes of each session; where several prescriptions hold, the one that asks least.
-- Peritoneal dialysis is done at home: its prescription says nothing of a session.
SELECT s.session, min(p.session_minutes) AS minutes
FROM session_spans s
JOIN prescriptions p
  ON s.person_here = p.person_here
  AND s.signed_in_day >= p.valid_from
  AND (p.valid_to IS NULL OR s.signed_in_day <= p.valid_to)
WHERE p.modality <> 'peritoneal_dialysis'
GROUP BY s.session
