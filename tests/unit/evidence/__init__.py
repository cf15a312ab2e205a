"""What evidence promises, one file for each module."""
