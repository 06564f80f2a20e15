-- Every reversal with the line that was billed first, and how many steps lie between them.
SELECT t.line, t.target AS root, CAST(1 AS BIGINT) AS depth
FROM reversal_targets t
ANTI JOIN reversal_chains c ON t.line = c.line
UNION ALL
SELECT line, root, depth
FROM reversal_chains
WHERE root IS NOT NULL
