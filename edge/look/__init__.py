"""Looking at a face: frames, attempts, outcomes, the faces that are enrolled; for kiosk and bedside alike."""
