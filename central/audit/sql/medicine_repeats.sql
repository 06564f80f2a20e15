-- Sales of boxes whose code was sold more than once, wherever.
SELECT m.*
FROM medicine_sales m
SEMI JOIN (SELECT code FROM medicine_sales WHERE code IS NOT NULL GROUP BY code HAVING count(*) > 1) r
  ON m.code = r.code
