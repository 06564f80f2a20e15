"""Backups of central: one folder each with store, keys, lake and checkpoints; restored into a new epoch."""
