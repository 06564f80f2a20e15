"""Ward cameras: who of today's inpatients was seen, and when the cameras could have seen anybody."""
