"""How fast checks answer over the history of a region."""
