"""What edge and central both need and is no contract: files, limits, workers, serving, the terminal."""
