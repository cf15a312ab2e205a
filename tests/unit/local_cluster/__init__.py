"""What the embedded cluster promises that can be tried without one."""
