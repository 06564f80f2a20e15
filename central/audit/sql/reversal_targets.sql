-- Which line each reversal names: a line of the same institution and person, by its very id, or, when none has it,
-- by the only one whose id differs in small and capital letters. What names no such line is no reversal.
-- below_zero: the line that it names asks for no money itself.
WITH taken_back AS (
  SELECT line, institution_id, person_id, reverses_line_id, reverses_caps
  FROM claim_lines
  WHERE reverses_line_id IS NOT NULL
),
exact AS (
  SELECT
    r.line,
    t.line AS target,
    r.institution_id,
    r.person_id,
    r.person_id = t.person_id AS same_person,
    t.amount < 0 OR (t.amount = 0 AND t.quantity < 0) AS below_zero
  FROM taken_back r
  JOIN claim_lines t ON r.institution_id = t.institution_id AND r.reverses_line_id = t.line_id
),
alike AS (
  SELECT
    r.line,
    min(t.line) AS target,
    min(r.institution_id) AS institution_id,
    min(r.person_id) AS person_id,
    count(*) AS lines,
    max(CASE WHEN r.person_id = t.person_id THEN 1 ELSE 0 END) AS same_person,
    min(t.amount) < 0 OR (min(t.amount) = 0 AND min(t.quantity) < 0) AS below_zero
  FROM taken_back r
  JOIN claim_lines t ON r.institution_id = t.institution_id AND r.reverses_caps = t.line_caps
  ANTI JOIN exact e ON r.line = e.line
  GROUP BY r.line
)
SELECT line, target, institution_id, person_id, below_zero
FROM exact
WHERE same_person
UNION ALL
SELECT line, target, institution_id, person_id, below_zero
FROM alike
WHERE lines = 1 AND same_person = 1
