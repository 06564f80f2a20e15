"""The audit: canonical tables in, a verdict on every line in scope and findings out."""
