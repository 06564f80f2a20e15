"""What the access log and signing in cost."""
