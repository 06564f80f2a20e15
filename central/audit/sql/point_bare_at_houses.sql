-- Lines of a place that no session serves, by the institution that billed them. Of a pharmacy's lines none: somebody else may
-- lawfully have come, wherever the patient was.
SELECT
  l.line,
  h.institution_id,
  l.person_id,
  l.service_time,
  l.service_day,
  l.elsewhere_margin_us
FROM point_bare_lines l
JOIN point_houses h ON l.institution_id = h.place
ANTI JOIN (SELECT place FROM point_kinds WHERE kind = 'pharmacy') k ON l.institution_id = k.place
