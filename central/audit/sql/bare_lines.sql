-- Lines that no session serves at all, not even in part.
SELECT l.*
FROM open_lines l
ANTI JOIN served v ON l.line = v.line
ANTI JOIN late_served w ON l.line = w.line
ANTI JOIN hours_served h ON l.line = h.line
