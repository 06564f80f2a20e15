"""The counter of a pharmacy or an outpatient department: who buys, for whom, and how that was established."""
