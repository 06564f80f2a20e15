"""What every device has: store, log, link to central, clock, coverage, evidence, people; joining, backup."""
