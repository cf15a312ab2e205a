"""From an answer to a number: one pure function for each way of scoring."""
