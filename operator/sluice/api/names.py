"""Names that users, the API server and our processes must agree on.

They stand in manifests, in admission policies evaluated by the API server and in code. Writing each once is what keeps the three in step.
"""

from __future__ import annotations

from typing import Final

GROUP: Final = "sluice.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

GOVERN_LABEL: Final = f"{GROUP}/govern"
"""On a namespace: `"true"` opts it in. Workload authors cannot set it; who may is the cluster's RBAC on namespaces."""

STRICT_LABEL: Final = f"{GROUP}/strict"
"""On a governed namespace: `"true"` holds every Pod, also those that name no release, until Sluice has looked at it."""

STAGE_LABEL: Final = f"{GROUP}/stage"
"""On a governed namespace: the stage (`staging`, `production`, …) that a release must be meant for."""

PROFILE_LABEL: Final = f"{GROUP}/profile"
"""On a namespace: the profile (docs/profiles.md) by which policies select it. On a namespace that is governed only the platform team sets it."""

RELEASE_LABEL: Final = f"{GROUP}/release"
"""On a Pod, or the Pod template of its owner: the `ModelRelease` in the same namespace that it serves."""

SCHEDULING_GATE: Final = f"{GROUP}/release"
"""Pod scheduling gate: the Pod waits, unscheduled, until its release is entitled."""

READINESS_GATE: Final = f"{GROUP}/serving"
"""Pod readiness gate and condition: the Pod gets no Service traffic until Sluice sets it True."""

CANARY_LABEL: Final = f"{GROUP}/canary-run"
"""On a Pod or Job: the `CanaryRun` that it belongs to. Only the controller makes such an object; the webhook leaves its gates to the controller."""

CANARY_ROLE_LABEL: Final = f"{GROUP}/canary-role"
"""Beside it: `candidate`, `baseline` or `scorer`."""

DRILL_LABEL: Final = f"{GROUP}/drill"
"""On a Pod or Service: the `ReleaseDrill` that it belongs to. Only the controller makes such an object, and no Service of users selects it."""

DRILL_ROLE_LABEL: Final = f"{GROUP}/drill-role"
"""Beside it: `release` or `baseline`."""

DRILL_NAMESPACE_LABEL: Final = f"{GROUP}/drill-namespace"
"""Beside it, on what a drill makes in a scratch namespace: the namespace of the `ReleaseDrill` and its release."""

DRILL_UID_LABEL: Final = f"{GROUP}/drill-uid"
"""On the Service of a drill in a scratch namespace: the UID of the `ReleaseDrill`. The Service owns what else the drill makes there."""

SCRATCH_LABEL: Final = f"{GROUP}/scratch-for"
"""On a governed namespace: the namespace whose drills may be done in it. On a namespace that is governed only the platform team sets it."""

FOR_USERS: Final = f"!{CANARY_LABEL},!{DRILL_LABEL}"
"""Label selector: Pods that are none of a run or a drill, so that they are for users."""

STAND_IN_LABEL: Final = f"{GROUP}/stand-in"
"""On a ReplicaSet of ours and its Pods: the Deployment for which they serve while what it asks for may not."""

HELD_ANNOTATION: Final = f"{GROUP}/held"
"""On a Deployment: the release for which the API server paused it. Empty or absent means that Sluice does not hold it."""

LOG_RETENTION_ANNOTATION: Final = f"{GROUP}/log-retention"
"""On a Pod: how long what it logs is kept (`90d`), where a policy asks for that."""

VERIFIER_PREFIX: Final = "sluice-verify-"
"""How the init containers begin that check weights where they are loaded. Only those that the webhook adds are one."""

FOUND_FOR_LABEL: Final = f"{GROUP}/found-for"
"""On a `ReleaseEvidence` that the controller made: the release whose artifact the bundle refers to in its registry."""

FIELD_MANAGER: Final = "sluice"
"""Owner of what Sluice writes by server-side apply."""

CONTROLLER: Final = "sluice-controller"
"""Service account, Deployment and Lease of the controller."""

RECORD_LABEL: Final = f"{GROUP}/record-of"
"""On ReleaseEvidence: the release whose verdict it records. The controller's signature tells whether that is so."""

CONTROLLER_KEY: Final = "sluice-controller-key"
"""Secret with the controller's signing key, and ConfigMap with its public keys; also the name of the TrustRoot that the ConfigMap holds, ready to apply."""

WEBHOOK: Final = "sluice-webhook"
"""Service account, Deployment and Service of the webhook."""
