"""What the drift detectors promise, one file for each module."""
