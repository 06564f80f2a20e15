"""Pages of cases: the auditor's desk, the institution's inbox, reviews, letters and the ledger."""
