"""The in-bed rate: how sure the checks make it, who is summoned, who is checked again."""
