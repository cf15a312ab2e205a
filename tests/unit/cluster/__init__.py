"""`sluice.cluster` as far as it needs no socket."""
