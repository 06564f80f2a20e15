-- Events at the institution of a place, by the place: those of its own kind are of purpose dialysis, as the steps of
-- sessions ask; of others those of persons who were billed there. What a ward saw says nothing of a room.
-- Who was identified at a counter by face, by papers, card, witness or the insurer's terminal, for themselves or with the
-- right to buy for the patient and the papers of both, has shown the patient's purchase as a sign-in would; any other
-- purchase there only shows that somebody came.
-- A verified sign-in where one visit is all that is billed is a presence as well, without an id of its own.
WITH bought AS (
  SELECT
    c.*,
    (c.outcome = 'manual' OR (c.outcome = 'match' AND c.pad = 'bona_fide'))
    AND (c.relation = 'self' OR (c.basis <> 'not_shown' AND c.both_papers)) AS identified
  FROM counter_identifications c
  WHERE c.occurred_at_day BETWEEN $early_day - 28 AND $to_day + 7
),
own AS (
  SELECT
    a.event_id,
    k.place AS institution_id,
    a.person_id,
    k.place || '/' || a.person_id AS person_here,
    a.event_type,
    'dialysis' AS purpose,
    a.occurred_at,
    a.occurred_at_day,
    a.occurred_at_local,
    a.received_at_day,
    a.session_id,
    a.outcome,
    a.pad,
    a.clock_trusted,
    a.verified
  FROM attendance a
  JOIN point_kinds k ON a.institution_id = k.institution_id AND a.purpose = k.kind
  WHERE a.occurred_at_day BETWEEN $early_day - 28 AND $to_day + 7
    OR a.received_at_day BETWEEN $early_day AND $to_day + 7
  UNION ALL
  SELECT
    b.event_id,
    k.place AS institution_id,
    b.person_id,
    k.place || '/' || b.person_id AS person_here,
    CASE WHEN b.identified THEN 'sign_in' ELSE 'identity_check' END AS event_type,
    'dialysis' AS purpose,
    b.occurred_at,
    b.occurred_at_day,
    b.occurred_at_local,
    b.received_at_day,
    CAST(NULL AS VARCHAR) AS session_id,
    CASE WHEN b.identified THEN 'match' ELSE 'not_acquired' END AS outcome,
    CASE WHEN b.identified THEN 'bona_fide' ELSE 'not_shown' END AS pad,
    b.clock_trusted,
    b.identified AND b.clock_trusted AS verified
  FROM bought b
  JOIN point_kinds k ON b.institution_id = k.institution_id AND b.purpose = k.kind
)
SELECT * FROM own
UNION ALL
SELECT
  CAST(NULL AS VARCHAR) AS event_id,
  o.institution_id,
  o.person_id,
  o.person_here,
  'presence' AS event_type,
  o.purpose,
  o.occurred_at,
  o.occurred_at_day,
  o.occurred_at_local,
  o.received_at_day,
  CAST(NULL AS VARCHAR) AS session_id,
  o.outcome,
  o.pad,
  o.clock_trusted,
  o.verified
FROM own o
JOIN point_houses h ON o.institution_id = h.place
WHERE h.one_visit = 1 AND o.verified AND o.event_type = 'sign_in'
UNION ALL
SELECT
  a.event_id,
  p.place AS institution_id,
  a.person_id,
  p.place || '/' || a.person_id AS person_here,
  a.event_type,
  'other' AS purpose,
  a.occurred_at,
  a.occurred_at_day,
  a.occurred_at_local,
  a.received_at_day,
  a.session_id,
  a.outcome,
  a.pad,
  a.clock_trusted,
  a.verified
FROM attendance a
JOIN (
  SELECT DISTINCT h.place, h.institution_id, l.person_id
  FROM point_scope l
  JOIN point_houses h ON l.institution_id = h.place
) p ON a.institution_id = p.institution_id AND a.person_id = p.person_id
ANTI JOIN point_kinds k ON p.place = k.place AND a.purpose = k.kind
WHERE a.purpose <> 'inpatient'
  AND (
    a.occurred_at_day BETWEEN $early_day AND $to_day + 7 OR a.received_at_day BETWEEN $early_day AND $to_day + 7
  )
