-- The parts of treatments that were interrupted and went on: each with the sign-in of the whole treatment and the
-- time that it adds. Only persons with such a treatment are looked at.
WITH concerned AS (
  SELECT DISTINCT institution_id, person_id
  FROM session_parts
  WHERE resumed
),
marked AS (
  SELECT
    p.*,
    coalesce(
      lag(p.resumed) OVER (PARTITION BY p.institution_id, p.person_id ORDER BY p.signed_in_at, p.session), false
    ) AS goes_on,
    lead(p.signed_in_at) OVER (
      PARTITION BY p.institution_id, p.person_id ORDER BY p.signed_in_at, p.session
    ) AS next_part_at
  FROM session_parts p
  SEMI JOIN concerned c ON p.institution_id = c.institution_id AND p.person_id = c.person_id
),
chained AS (
  SELECT
    *,
    sum(CASE WHEN goes_on THEN 0 ELSE 1 END) OVER (
      PARTITION BY institution_id, person_id
      ORDER BY signed_in_at, session
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS chain
  FROM marked
)
SELECT
  *,
  max(CASE WHEN NOT goes_on THEN session END) OVER (PARTITION BY institution_id, person_id, chain) AS whole,
  least(shown_us, CASE WHEN resumed THEN next_part_at ELSE greatest(ended_at, signed_in_at) END - signed_in_at) AS part_us
FROM chained
WHERE resumed OR goes_on
