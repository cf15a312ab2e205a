"""The embedded Kubernetes cluster and the demo that runs on it.

Only for people and tests: nothing in `operator/` imports this.
"""
