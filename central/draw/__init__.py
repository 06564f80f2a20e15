"""Rounds of spot checks: committed to, drawn, sealed, opened, published, verifiable by anybody."""
