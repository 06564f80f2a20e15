-- Persons who may have had two beds on a day: more than one billed at one institution, beds billed at several, or
-- days that reach back before the lines at hand.
SELECT DISTINCT person_id
FROM (
  SELECT i.person_id
  FROM inpatients i
  SEMI JOIN (
    SELECT inpatient
    FROM bed_billed
    GROUP BY inpatient, day
    HAVING sum(least(share, 10000)) > 10416
  ) twice ON i.inpatient = twice.inpatient
  UNION ALL
  SELECT person_id
  FROM inpatients
  GROUP BY person_id
  HAVING count(*) > 1
  UNION ALL
  SELECT person_id
  FROM bed_billed
  WHERE day < $from_day - 3
) crowded
