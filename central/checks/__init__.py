"""Checks before and during treatment: knowledge in force, a person's history, and the ways to ask."""
