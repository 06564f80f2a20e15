"""The models that are known here: one folder each, with a card."""
