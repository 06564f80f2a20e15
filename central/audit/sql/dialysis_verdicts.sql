-- The verdict on every line of the haemodialysis family, in the order of precedence.
WITH facts AS (
  SELECT
    l.line_id,
    l.institution_id,
    l.after_death,
    l.needed,
    e.evidence AS elsewhere,
    v.sessions,
    v.weakest_support,
    v.supporting,
    v.failing,
    coalesce(v.sign_in_verified, false) AS sign_in_verified,
    v.evidence AS session_evidence,
    t.evidence AS trace_evidence,
    coalesce(t.shown, 0) AS shown,
    coalesce(t.attempts, 0) AS attempts,
    n.sessions AS choices,
    n.evidence AS choice_evidence,
    coalesce(c.covered_us, 0) AS covered_us,
    w.to_us - w.from_us AS window_us,
    coalesce(c.covered_us, 0) * 1000000 >= (w.to_us - w.from_us) * l.coverage_needed_ppm AS covered
  FROM dialysis_lines l
  JOIN windows w ON l.service_day = w.day AND w.purpose = 'dialysis'
  LEFT JOIN dialysis_elsewhere e ON l.line_id = e.line_id
  LEFT JOIN served v ON l.line_id = v.line_id
  LEFT JOIN open_traces t ON l.line_id = t.line_id
  LEFT JOIN choice_counts n ON l.line_id = n.line_id
  LEFT JOIN coverage_days c
    ON l.institution_id = c.institution_id AND l.service_day = c.day AND c.purpose = 'dialysis'
  WHERE l.in_period
),
judged AS (
  SELECT
    *,
    CASE
      WHEN after_death THEN 'after_death'
      WHEN elsewhere IS NOT NULL AND NOT sign_in_verified THEN 'elsewhere'
      WHEN supporting >= needed AND weakest_support = 0 THEN 'verified_session'
      WHEN supporting >= needed THEN 'corroborated_manual'
      WHEN failing = 2 THEN 'too_short'
      WHEN sessions IS NULL AND choices IS NULL AND attempts > 0 AND shown = 0 THEN 'identity_mismatch'
      WHEN failing = 3 THEN 'manual_uncorroborated'
      WHEN failing = 4 THEN 'no_sign_out'
      WHEN failing = 5 THEN 'pad_not_shown'
      WHEN failing = 6 THEN 'clock_untrusted'
      WHEN shown > 0 OR NOT covered THEN 'coverage_gap'
      WHEN sessions IS NOT NULL OR choices IS NOT NULL THEN 'more_lines_than_sessions'
      ELSE 'no_session'
    END AS reason
  FROM facts
)
SELECT
  line_id,
  institution_id,
  CASE
    WHEN reason IN ('verified_session', 'corroborated_manual') THEN 'supported'
    WHEN reason IN ('after_death', 'elsewhere', 'too_short', 'identity_mismatch', 'more_lines_than_sessions', 'no_session')
      THEN 'contradicted'
    ELSE 'insufficient'
  END AS verdict,
  reason,
  CAST(covered_us AS DOUBLE) / CAST(window_us AS DOUBLE) AS coverage_ratio,
  CASE
    WHEN reason IN ('after_death', 'no_session') THEN CAST([] AS VARCHAR[])
    WHEN reason = 'elsewhere' THEN list_sort(elsewhere)
    WHEN reason = 'identity_mismatch' THEN list_sort(trace_evidence)
    WHEN reason = 'more_lines_than_sessions' THEN list_sort(coalesce(choice_evidence, session_evidence))
    WHEN reason = 'coverage_gap' THEN list_sort(list_distinct(list_concat(
      coalesce(trace_evidence, CAST([] AS VARCHAR[])), coalesce(session_evidence, CAST([] AS VARCHAR[]))
    )))
    ELSE list_sort(list_distinct(session_evidence))
  END AS evidence
FROM judged
