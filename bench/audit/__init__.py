"""Times the audit of whole lakes, beside SQLite and pandas."""
