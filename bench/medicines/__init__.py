"""How long the findings about boxes of medicines take."""
