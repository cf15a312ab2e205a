"""The decision about paired differences, at any moment, with error rates that are stated and kept. Pure; numpy only."""
