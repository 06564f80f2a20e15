"""Pictures of verdicts as SVG, each with its numbers as a table: the same on pages and in the report."""
