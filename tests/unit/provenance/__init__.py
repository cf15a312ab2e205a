"""What provenance promises, one file for each module."""
