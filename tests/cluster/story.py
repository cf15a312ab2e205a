"""A release whose server image really runs, with real signatures, step by step, as people and pipelines apply it.

Approvals are created by authenticated users: the admission policies stamp who it was.
"""

from __future__ import annotations

import base64
import time
from functools import cached_property
from typing import Any

from e2e.sigstore import evaluation_statement, model_signature_statement, slsa_statement
from sluice.evidence.signed_decision import PREDICATE_TYPE
from tests.cluster.namespace import Namespace
from tests.unit.decision import case
from tests.unit.decision.signed import SAM_SIGNS

Object = dict[str, Any]
Person = dict[str, Any]
"""Keyword arguments of `Namespace.create` and `Namespace.apply`."""
OLGA: Person = {"as_user": "olga@example.com", "groups": ("payments-ml-leads", "deciders")}
SAM: Person = {"as_user": "sam@example.com", "groups": ("deciders",)}
SVEN: Person = {"as_user": "sven@example.com", "groups": ("appsec", "deciders")}
TINA: Person = {"as_user": "tina@example.com", "groups": ("payments-ml-leads", "deciders")}
"""Tina operates the trainer's pipeline, and may not approve what it trained."""
RELEASE = "churn-2-1-0"


class Story:
    """One governed namespace, and what is applied in it."""

    def __init__(self, ns: Namespace, *, release: str = RELEASE) -> None:
        """Opt the namespace in, and let people decide there."""
        self.ns = ns
        self.release = release
        self.image = ns.cluster.images["busybox"]
        self.image_digest = self.image.rpartition("@")[2]
        ns.label({"sluice.dev/govern": "true", "sluice.dev/stage": "production", "sluice.dev/test": ns.name})
        rbac = "rbac.authorization.k8s.io"
        rules = [{"apiGroups": ["sluice.dev"], "resources": ["releaseapprovals", "releasewaivers"], "verbs": ["create", "get", "delete"]}]
        meta = {"name": "deciders"}
        who = [{"apiGroup": rbac, "kind": "Group", "name": "deciders"}]
        ref = {"apiGroup": rbac, "kind": "Role", "name": "deciders"}
        ns.apply_all(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "churn"}},
            {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules},
            {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": ref, "subjects": who},
        )

    def platform(self) -> None:
        """The trust root and the policy, for this namespace only."""
        self.ns.apply_all(
            _object("TrustRoot", self.ns.name, case.trust_root()["spec"]),
            _object("ReleasePolicy", self.ns.name, self.policy_spec()),
        )

    def policy_spec(self) -> Object:
        policy = case.policy_spec()
        policy["selector"]["namespaces"]["matchLabels"] = {"sluice.dev/test": self.ns.name}
        for signer in policy["signers"]:
            signer["trustRoot"] = self.ns.name
        # Who is behind the trainer is said by user: a signature tells nothing of groups.
        policy["signers"][0]["operatedBy"] = {"users": ["tina@example.com"]}
        policy["signers"].append(SAM_SIGNS | {"trustRoot": self.ns.name})
        policy["roles"][1]["subjects"].append({"kind": "Signer", "name": SAM_SIGNS["name"]})
        policy["requirements"][1]["waivableBy"] = ["security"]
        for requirement in policy["requirements"]:
            for measure in requirement.get("measures", ()):
                # Signed at the fixed time of the unit tests, which passes.
                measure.pop("maxAge")
        return policy

    def release_object(self) -> Object:
        spec = case.release_spec()
        spec["artifacts"][1] |= {"uri": self.image, "digest": self.image_digest}
        spec["artifacts"][0].pop("uri")
        return _object("ModelRelease", self.release, spec)

    def propose(self) -> None:
        """The team applies the release."""
        self.ns.apply(self.release_object())

    @cached_property
    def bundles(self) -> dict[str, bytes]:
        """Signed once: each signature has bytes of its own."""
        source = [("git+https://git.example.com/server", case.digest_of("source"))]
        return {
            "signature": case.sign(model_signature_statement(case.WEIGHTS_FILES)),
            "server": case.sign(slsa_statement({"server": self.image_digest}, case.BUILDER, source)),
            "evaluation": case.sign(evaluation_statement(case.weights_digest(), "results.json", case.raw_results()), identity=case.EVALUATOR),
        }

    def prove(self, *, leave_out: tuple[str, ...] = (), **instead: bytes) -> None:
        """Pipelines apply their evidence; `instead` replaces the bundle of a name."""
        proved = (self.bundles | instead).items()
        self.ns.apply_all(*(self.evidence_object(name, bundle) for name, bundle in proved if name not in leave_out))

    def evidence(self, name: str, bundle: bytes) -> None:
        """A pipeline applies one of them."""
        self.ns.apply(self.evidence_object(name, bundle))

    def evidence_object(self, name: str, bundle: bytes) -> Object:
        spec: Object = {"bundle": {"inline": base64.b64encode(bundle).decode()}}
        if name == "evaluation":
            spec["attachments"] = [{"name": "results.json", "inline": base64.b64encode(case.raw_results()).decode()}]
        return _object("ReleaseEvidence", name, spec)

    def decide(self, name: str, role: str, person: Person, *, decision: str = "Approve") -> None:
        """One person decides on exactly what the status shows."""
        status = self.status()
        spec = {
            "release": {"name": self.release},
            "releaseDigest": status["releaseDigest"],
            "evidenceDigest": status["evidenceDigest"],
            "role": role,
            "decision": decision,
        }
        self.ns.create(_object("ReleaseApproval", name, spec), **person)

    def sign(self, name: str, role: str) -> None:
        """Sam signs off exactly what the status shows, and somebody else applies that."""
        status = self.status()
        said = {
            "role": role, "decision": "Approve", "evidenceDigest": status["evidenceDigest"], "decidedAt": "2026-11-20T11:00:00Z",
            "expires": "2099-01-01T00:00:00Z",
        }  # fmt: skip
        statement = {
            "_type": "https://in-toto.io/Statement/v1", "predicateType": PREDICATE_TYPE, "predicate": said,
            "subject": [{"name": self.release, "digest": {"sha256": status["releaseDigest"].removeprefix("sha256:")}}],
        }  # fmt: skip
        self.evidence(name, case.sign(statement, identity=SAM_SIGNS["identity"], issuer=SAM_SIGNS["issuer"]))

    def waive(self, name: str, requirement: str, *, by: Person, approved_by: Person) -> None:
        """Somebody asks for a waiver, and somebody else approves it, both in role security."""
        spec = {
            "release": {"name": self.release}, "releaseDigest": self.status()["releaseDigest"], "requirements": [requirement], "reason": "it is rebuilt",
            "riskOwner": "risk", "ticket": "https://risk.example.com/1", "expires": "2099-01-01T00:00:00Z",
        }  # fmt: skip
        self.ns.create(_object("ReleaseWaiver", name, spec), **by)
        self.condition("releasewaiver", name, "Counted", "False", reason="WaiverNotApproved")
        digest = self.ns.get("releasewaiver", name)["status"]["digest"]
        about = {"release": spec["release"], "releaseDigest": spec["releaseDigest"], "waiver": {"name": name, "digest": digest}}
        self.ns.create(_object("ReleaseApproval", f"{name}-approved", about | {"role": "security", "decision": "Approve"}), **approved_by)
        self.condition("releasewaiver", name, "Counted", "True", reason="Counted")

    def approve(self) -> None:
        """Both roles sign off."""
        self.decide("by-owner", "owner", OLGA)
        self.decide("by-security", "security", SAM)

    def until_approval_is_missing(self) -> Object:
        """Everything but the sign-offs, and wait until the controller says so."""
        self.platform()
        self.propose()
        self.prove()
        return self.wait_phase("AwaitingApproval")

    def until_serving(self) -> Object:
        self.until_approval_is_missing()
        self.approve()
        return self.wait_phase("Serving")

    def status(self) -> Object:
        status: Object = self.ns.get("modelrelease", self.release)["status"]
        return status

    def wait_phase(self, phase: str, *, seconds: float = 20) -> Object:
        """The release, once it is in this phase."""
        return self.ns.wait("modelrelease", self.release, lambda mr: mr.get("status", {}).get("phase") == phase, seconds=seconds)

    def condition(self, kind: str, name: str, type_: str, status: str, *, reason: str, seconds: float = 20) -> str:
        """Wait for a condition; gives its message."""

        def holds(obj: Object) -> bool:
            return any(found == (type_, status, reason) for found in _conditions(obj))

        obj = self.ns.wait(kind, name, holds, seconds=seconds)
        return next(str(item["message"]) for item in obj["status"]["conditions"] if item["type"] == type_)

    def pod(self, name: str, *, release: str | None = None) -> Object:
        """A Pod that serves the release."""
        labels = {"app": name, "sluice.dev/release": release or self.release}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": self._pod_spec()}

    def deployment(self, name: str, *, release: str | None = None) -> Object:
        """A Deployment that serves the release."""
        labels = {"app": name, "sluice.dev/release": release or self.release}
        template = {"metadata": {"labels": labels}, "spec": self._pod_spec()}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}

    def _pod_spec(self) -> Object:
        return {"serviceAccountName": "churn", "terminationGracePeriodSeconds": 0, "containers": [{"name": "server", "image": self.image}]}

    def events(self, name: str) -> list[tuple[str, str, str]]:
        """Reason, action and note of the events about an object."""
        found = self.ns.list("events.events.k8s.io")
        return [(item["reason"], item.get("action", ""), item.get("note", "")) for item in found if item["regarding"]["name"] == name]

    def until_told(self, name: str, action: str, *, seconds: float = 20) -> list[tuple[str, str, str]]:
        """The events about an object, once one tells this action: a status is written before its event."""
        deadline = time.monotonic() + seconds
        told = self.events(name)
        while action not in {done for _, done, _ in told}:
            assert time.monotonic() < deadline, told
            time.sleep(0.2)
            told = self.events(name)
        return told


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _conditions(obj: Object) -> list[tuple[str, str, str]]:
    return [(item["type"], item["status"], item["reason"]) for item in obj.get("status", {}).get("conditions", [])]
