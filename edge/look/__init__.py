"""Looking at faces: frames, attempts, outcomes, and who is enrolled; for kiosk and bedside alike."""
