-- Pairs of sales of one box, the later of them in the period. One sale that was told twice, and parts of a pack
-- that one institution sells, are no pair.
SELECT
  b.institution_id,
  b.sale_id,
  b.line_id,
  b.line,
  b.amount,
  b.person_id,
  b.code,
  b.paid_by,
  b.sold_at,
  b.sold_at_day,
  a.institution_id AS first_institution_id,
  a.sale_id AS first_sale_id,
  a.line_id AS first_line_id,
  a.line AS first_line,
  a.amount AS first_amount,
  a.person_id AS first_person_id,
  a.paid_by AS first_paid_by,
  a.sold_at AS first_at,
  a.sold_at_day AS first_day
FROM medicine_repeats a
JOIN medicine_repeats b
  ON a.code = b.code
  AND (
    a.sold_at < b.sold_at
    OR (a.sold_at = b.sold_at AND a.institution_id < b.institution_id)
    OR (a.sold_at = b.sold_at AND a.institution_id = b.institution_id AND a.sale_id < b.sale_id)
  )
WHERE b.sold_at_day BETWEEN $from_day AND $to_day
  AND NOT coalesce(a.split, FALSE)
  AND NOT coalesce(b.split, FALSE)
  AND NOT (
    a.institution_id = b.institution_id
    AND (
      coalesce(a.line_id = b.line_id, FALSE)
      OR coalesce(a.settlement_id = b.settlement_id, FALSE)
      OR (a.sold_at_day = b.sold_at_day AND coalesce(a.person_id = b.person_id, TRUE))
    )
  )
