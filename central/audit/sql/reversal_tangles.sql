-- Reversals of reversals, and what they reverse: chains, to be followed to their end (reversing.py).
SELECT t.line, t.target, t.institution_id, t.person_id
FROM reversal_targets t
SEMI JOIN reversal_targets o ON t.target = o.line
UNION
SELECT t.line, t.target, t.institution_id, t.person_id
FROM reversal_targets t
SEMI JOIN reversal_targets o ON t.line = o.target
