"""What is measured, each with `--quick` and `--json FILE`."""
