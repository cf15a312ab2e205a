"""The decision, on facts that real signatures established."""
