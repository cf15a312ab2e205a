"""What is done to workloads, against a server of memory."""
