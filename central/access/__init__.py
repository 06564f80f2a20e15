"""Who may sign in to central, what each role may, and the log of who has read or changed what of whom."""
