"""Checks what central holds: every device's log, and the checkpoints over their heads."""
