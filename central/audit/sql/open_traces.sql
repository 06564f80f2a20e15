-- What those traces say about each open line, leaving out what belongs to sessions that were already dealt with.
WITH apart AS (
  SELECT t.*
  FROM (
    SELECT t.*, l.person_here, l.mid_session_us
    FROM traces t
    JOIN open_lines l ON t.line = l.line
  ) t
  ANTI JOIN dialysis_sessions s
    ON t.person_here = s.person_here
    AND t.from_at <= s.watched_until + t.mid_session_us
    AND t.until_at >= s.signed_in_at - t.mid_session_us
)
SELECT
  line,
  count(CASE WHEN kind = 'shown' THEN 1 END) AS shown,
  count(CASE WHEN kind = 'weak' THEN 1 END) AS weak,
  count(CASE WHEN kind = 'run' THEN 1 END) AS runs,
  count(CASE WHEN kind = 'not_acquired' THEN 1 END) AS not_acquired,
  count(CASE WHEN kind = 'attempt' AND clock_trusted AND dialysis THEN 1 END) AS attempts,
  list_filter(array_agg(DISTINCT CASE WHEN kind <> 'attempt' OR (clock_trusted AND dialysis) THEN trace END), lambda x: x IS NOT NULL) AS evidence
FROM apart
GROUP BY line
