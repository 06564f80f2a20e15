"""How fast the console answers over a store of a given size."""
