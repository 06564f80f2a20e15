"""Lists of lines and findings over any period, with sums, groups, order and pages."""
