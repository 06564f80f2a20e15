"""Synthetic counties and lakes with the truth beside them; independent of the audit held against them."""
