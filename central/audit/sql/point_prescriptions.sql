-- What the points of a place ask of a session of each person who was billed there.
SELECT DISTINCT
  l.person_here,
  i.from_day AS valid_from,
  i.to_day AS valid_to,
  'point' AS modality,
  i.minutes AS session_minutes
FROM point_scope l
JOIN point_items i
  ON l.institution_id = i.place
  AND (l.item_class = i.item_code OR l.catalogue_class = i.item_class)
