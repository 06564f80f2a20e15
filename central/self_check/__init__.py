"""An institution looks at its own month before it submits it."""
