"""The nightly run: tables out of the store, through the audit, verdicts into the store."""
