"""The decision about paired differences, at any moment, with error rates that are stated and kept.

In: differences of units in a fixed random order, counted at fixed looks (`series`, `looks`). Out: promote, roll back, or not yet known (`engine`;
`decide` for anyone’s arrays).
The test of one look is in `score_test`, what a look may spend in `spending`, what a plan can find in `power`. Pure; numpy only.
"""
