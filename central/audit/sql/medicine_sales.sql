-- Every box of a medicine that was sold and is still sold: sales that were told, and billed lines with a code of
-- their own; without what was taken back. A return takes back the last sale of its code before it, unless the
-- line that bills it still stands; a cancelled settlement takes back all that was sold with it.
WITH told AS (
  SELECT
    d.institution_id,
    d.sale_id,
    d.line_id,
    n.line,
    n.amount,
    d.settlement_id,
    coalesce(d.person_id, n.person_id) AS person_id,
    d.code,
    d.product_code,
    coalesce(d.item_code, n.item_code) AS item_code,
    d.batch,
    d.expires_on,
    d.split,
    d.units,
    d.paid_by,
    d.sold_at,
    d.sold_at_day
  FROM drug_sales d
  LEFT JOIN coded_lines c ON d.institution_id = c.institution_id AND d.line_id = c.line_id
  LEFT JOIN net_lines n ON c.line = n.line
  WHERE d.kind = 'sale' AND (c.line IS NULL OR n.line IS NOT NULL)
  UNION ALL
  SELECT
    n.institution_id,
    n.line_id AS sale_id,
    n.line_id,
    n.line,
    n.amount,
    n.settlement_id,
    n.person_id,
    n.traceability_code AS code,
    CAST(NULL AS VARCHAR) AS product_code,
    n.item_code,
    CAST(NULL AS VARCHAR) AS batch,
    CAST(NULL AS INTEGER) AS expires_on,
    CAST(NULL AS BOOLEAN) AS split,
    n.quantity AS units,
    'fund' AS paid_by,
    n.service_time AS sold_at,
    n.service_time_day AS sold_at_day
  FROM net_lines n
  ANTI JOIN drug_sales d ON n.institution_id = d.institution_id AND n.line_id = d.line_id
  WHERE n.traceability_code IS NOT NULL
),
returns AS (
  SELECT institution_id, code, settlement_id, sold_at AS returned_at FROM drug_sales WHERE kind = 'return'
),
returned AS (
  SELECT institution_id, code, sold_at
  FROM (
    SELECT t.institution_id, t.code, r.returned_at, max(t.sold_at) AS sold_at
    FROM drug_sales t
    JOIN returns r
      ON t.institution_id = r.institution_id AND t.code = r.code AND t.sold_at <= r.returned_at
    WHERE t.kind = 'sale'
    GROUP BY t.institution_id, t.code, r.returned_at
  ) latest
  GROUP BY institution_id, code, sold_at
)
SELECT t.*
FROM told t
LEFT JOIN returned b ON t.institution_id = b.institution_id AND t.code = b.code AND t.sold_at = b.sold_at
ANTI JOIN returns s
  ON t.institution_id = s.institution_id
  AND t.settlement_id = s.settlement_id
  AND s.code IS NULL
  AND t.sold_at <= s.returned_at
WHERE b.code IS NULL OR t.line IS NOT NULL
