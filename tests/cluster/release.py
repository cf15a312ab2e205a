"""A release with real signatures for one test namespace, as people would apply it."""

from __future__ import annotations

import base64
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from sluice.decision.records import Key
from sluice.decision.world import World
from tests.cluster.namespace import Namespace
from tests.unit.decision import case

Object = dict[str, Any]
STAGE = "production"


class ReleaseCase:
    """The objects, and a world of them for the digests that an approval names."""

    def __init__(self, ns: Namespace, *, stamped: bool = False) -> None:
        """With `stamped`, the API server stamps who decides (L0); without, the test writes it."""
        self.ns = ns
        self._stamped = stamped
        self.name = case.NAME
        self._world = World()
        self._labels = {"sluice.dev/govern": "true", "sluice.dev/stage": STAGE, "sluice.dev/test": ns.name}

    def apply_all_but_approvals(self) -> None:
        """Opt the namespace in and apply trust root, policy, release and evidence."""
        self.ns.label(self._labels)
        self._world.put("Namespace", {"metadata": {"name": self.ns.name, "labels": self._labels}})
        policy = case.policy_spec()
        policy["selector"]["namespaces"]["matchLabels"] = {"sluice.dev/test": self.ns.name}
        for signer in policy["signers"]:
            signer["trustRoot"] = self.ns.name
        for requirement in policy["requirements"]:
            for measure in requirement.get("measures", ()):
                # The evidence is signed at the fixed time of the unit tests, which passes.
                measure.pop("maxAge")
        self._put(case.item("TrustRoot", self.ns.name, case.trust_root()["spec"], namespace=""))
        self._put(case.item("ReleasePolicy", self.ns.name, policy, namespace=""))
        objects = [case.item("ModelRelease", self.name, case.release_spec(), namespace=self.ns.name)]
        for name, bundle in case.bundles().items():
            spec: Object = {"bundle": {"inline": base64.b64encode(bundle).decode()}}
            if name == "evaluation":
                spec["attachments"] = [{"name": "results.json", "inline": base64.b64encode(case.raw_results()).decode()}]
            objects.append(case.item("ReleaseEvidence", name, spec, namespace=self.ns.name))
        for obj in objects:
            self._world.put(obj["kind"], obj)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "churn"}}
        self.ns.apply_all(account, *(_written(obj) for obj in objects))

    def approve(self) -> None:
        """Both roles sign off."""
        self.decide("by-owner", role="owner", username="olga@example.com", groups=["payments-ml-leads"])
        self.decide("by-security", role="security", username="sam@example.com", groups=[])

    def decide(self, name: str, *, role: str, username: str, groups: list[str], decision: str = "Approve") -> None:
        """One person decides on what is there now."""
        verdict = self._world.verdict(Key(namespace=self.ns.name, name=self.name), now=datetime.now(UTC))
        assert verdict is not None
        spec: Object = {
            "release": {"name": self.name},
            "releaseDigest": verdict.release_digest,
            "evidenceDigest": verdict.evidence_digest,
            "role": role,
            "decision": decision,
        }
        if not self._stamped:
            self._put(case.item("ReleaseApproval", name, spec | {"approver": {"username": username, "groups": groups}}, namespace=self.ns.name))
            return
        self._may_decide(username)
        written = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": name}, "spec": spec}
        self._world.put("ReleaseApproval", self.ns.create(written, as_user=username, groups=groups))

    def _may_decide(self, username: str) -> None:
        """RBAC lets them write it; whether it counts is the policy's."""
        rbac, name = "rbac.authorization.k8s.io", "decides"
        rules = [{"apiGroups": ["sluice.dev"], "resources": ["releaseapprovals"], "verbs": ["create"]}]
        self.ns.apply({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules})
        subjects = [{"apiGroup": rbac, "kind": "User", "name": username}]
        role = {"apiGroup": rbac, "kind": "Role", "name": name}
        metadata = {"name": f"{name}-{username.partition('@')[0]}"}
        self.ns.apply({"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": subjects})

    def _put(self, obj: Object) -> None:
        self._world.put(obj["kind"], obj)
        self.ns.apply(_written(obj))


def _written(obj: Object) -> Object:
    """The object as people write it, without what the API server adds."""
    written = deepcopy(obj)
    for stamped in ("uid", "generation"):
        written["metadata"].pop(stamped, None)
    return written
