"""Measures the work on cases: lists of doubts, confirming and issuing, over a county's month."""
