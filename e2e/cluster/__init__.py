"""A real Kubernetes cluster on this machine, built from Go modules, in namespaces of its own.

`python -m e2e.cluster --help` for people; `Cluster` for tests and the demo. One node; Pods, Services, DNS, RBAC, admission policies and
webhooks are the real thing. NetworkPolicy objects are accepted and not enforced, Pods do not reach the internet, and who can read the
state folder is the cluster's administrator.
"""

from e2e.cluster.local import Cluster
from e2e.cluster.narrate import Narrator, StepFailed

__all__ = ["Cluster", "Narrator", "StepFailed"]
