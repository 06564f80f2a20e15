"""Knowledge points: what may be billed for whom, how often and beside what."""
