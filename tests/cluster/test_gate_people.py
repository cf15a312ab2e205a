"""Approvals carry the identity of the person, status is the controller's, governed namespaces stay governed: said by the API server alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
import yaml

from e2e.cluster import Cluster, StepFailed
from sluice.api.kinds import KINDS
from sluice.api.names import GOVERN_LABEL, PROFILE_LABEL, SCRATCH_LABEL, STAGE_LABEL, STRICT_LABEL
from tests.cluster.gate import EDITOR, GITOPS, WEBHOOK, Object, patched
from tests.cluster.installation import CONTROLLER, DIGEST, ROOT
from tests.cluster.namespace import Namespace

SAM = "sam@example.com"
APPSEC = ["appsec", "system:authenticated"]
_OF_RELEASE = {"release": {"name": "churn-2"}, "releaseDigest": DIGEST}
SPECS: dict[str, Object] = {
    "ReleaseApproval": {**_OF_RELEASE, "evidenceDigest": DIGEST, "role": "security", "decision": "Approve"},
    "ReleaseWaiver": {
        **_OF_RELEASE, "requirements": ["drill"], "reason": "rebuilt", "riskOwner": "risk", "ticket": "T-1", "expires": "2026-12-01T00:00:00Z",
    },
}  # fmt: skip


@pytest.fixture
def people(governed: Namespace) -> Namespace:
    """A namespace where everybody may create approvals, as far as RBAC is concerned."""
    rbac = "rbac.authorization.k8s.io"
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"apiGroup": rbac, "kind": "User", "name": user} for user in (SAM, EDITOR, CONTROLLER)]
    governed.apply({"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "people"}, "roleRef": role, "subjects": subjects})
    return governed


def decide(ns: Namespace, kind: str, *, by: str, groups: Sequence[str], approver: Any = None) -> Object:  # noqa: ANN401 - what a client writes
    spec = SPECS[kind] | ({"approver": approver} if approver is not None else {})
    obj = {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"generateName": "d-"}, "spec": spec}
    return ns.create(obj, as_user=by, groups=groups)


def test_who_decides_is_stamped_and_may_write_their_own_identity(people: Namespace, subtests: pytest.Subtests) -> None:
    who = {"username": SAM, "groups": APPSEC}
    for kind, written in product(SPECS, (None, who)):
        with subtests.test(kind=kind, written=written):
            assert decide(people, kind, by=SAM, groups=APPSEC, approver=written)["spec"]["approver"] == who


def test_nobody_decides_in_the_name_of_somebody_else(people: Namespace, subtests: pytest.Subtests) -> None:
    forgeries: tuple[Object, ...] = (
        {"username": "olga@example.com", "groups": APPSEC},
        {"username": SAM, "groups": [*APPSEC, "ciso"]},
        {"username": SAM},
        {"username": SAM, "groups": []},
    )
    refused = r"you are sam@example.com; leave spec.approver out, the API server fills it in"
    for kind, forged in product(SPECS, forgeries):
        with subtests.test(kind=kind, forged=forged), pytest.raises(StepFailed, match=refused):
            decide(people, kind, by=SAM, groups=APPSEC, approver=forged)


def test_a_gitops_account_decides_only_as_itself(people: Namespace, subtests: pytest.Subtests) -> None:
    groups = ["system:serviceaccounts", "system:authenticated"]
    for kind in SPECS:
        with subtests.test(kind=kind):
            assert decide(people, kind, by=GITOPS, groups=groups)["spec"]["approver"] == {"username": GITOPS, "groups": groups}
            with pytest.raises(StepFailed, match=r"spec.approver names sam@example.com"):
                decide(people, kind, by=GITOPS, groups=groups, approver={"username": SAM, "groups": APPSEC})


def test_the_approver_never_changes(people: Namespace, subtests: pytest.Subtests) -> None:
    for kind in SPECS:
        name = decide(people, kind, by=SAM, groups=APPSEC)["metadata"]["name"]
        for who, change in product((None, EDITOR, CONTROLLER), ({"username": "olga@example.com"}, None)):
            with subtests.test(kind=kind, who=who, change=change), pytest.raises(StepFailed, match=r"approver is immutable|forbidden"):
                patched(people, f"{kind}/{name}", {"spec": {"approver": change}}, as_user=who)


def test_a_decision_without_a_body_is_refused(people: Namespace, subtests: pytest.Subtests) -> None:
    for kind in SPECS:
        with subtests.test(kind=kind), pytest.raises(StepFailed, match="spec"):
            people.create({"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"name": "empty"}}, as_user=SAM)


@pytest.fixture
def everything(governed: Namespace) -> dict[str, str]:
    """One object of each kind, from the examples."""
    made = {}
    for kind in KINDS:
        obj = yaml.safe_load((ROOT / "examples" / f"{kind.name}.yaml").read_text())
        metadata = {"name": f"{governed.name}-{kind.short}"}
        who = CONTROLLER if kind.name in {"CanaryRun", "ReleaseMonitor"} else None
        governed.create({"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata, "spec": obj["spec"]}, as_user=who)
        made[kind.name] = metadata["name"]
    return made


def test_only_the_controller_writes_status(governed: Namespace, everything: dict[str, str], subtests: pytest.Subtests) -> None:
    refused = r"the status is written by the controller only|forbidden: User"
    for who, (kind, name) in product((None, EDITOR, GITOPS, WEBHOOK), everything.items()):
        with subtests.test("merge", who=who, kind=kind), pytest.raises(StepFailed, match=refused):
            patched(governed, f"{kind}/{name}", {"status": {"observedGeneration": 1}}, as_user=who, subresource="status")
        with subtests.test("json", who=who, kind=kind), pytest.raises(StepFailed, match=refused):
            patched(governed, f"{kind}/{name}", [{"op": "add", "path": "/status", "value": {}}], as_user=who, subresource="status", type_="json")


def test_the_controller_writes_status_with_the_rights_of_the_chart(governed: Namespace, everything: dict[str, str]) -> None:
    for kind, name in everything.items():
        status = {"observedGeneration": 1}
        obj = {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "status": status}
        words = ("apply", "--server-side", "--subresource=status", "--field-manager=sluice", "--filename=-", "--output=json")
        done = governed.kubectl(*words, stdin=json.dumps(obj), as_user=CONTROLLER)
        assert json.loads(done.stdout)["status"] == status


def test_a_revocation_stays_and_any_other_decision_is_deleted_as_ever(people: Namespace) -> None:
    for decision, about in (("Approve", {}), ("Reject", {}), ("Revoke", {"evidenceDigest": None, "revokes": "uid"})):
        spec = {key: value for key, value in (SPECS["ReleaseApproval"] | {"decision": decision} | about).items() if value is not None}
        people.create({"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": decision.lower()}, "spec": spec}, as_user=SAM)
    for words in (("revoke",), ("--all",)):
        with pytest.raises(StepFailed, match="a revocation is kept; whoever still approves creates another approval"):
            people.kubectl("delete", "releaseapproval", *words, as_user=EDITOR)
    assert [each["metadata"]["name"] for each in people.list("releaseapprovals")] == ["revoke"]
    # The platform team, here the group system:masters, may.
    people.kubectl("delete", "releaseapproval", "revoke")


def test_a_status_that_comes_with_the_object_is_dropped(governed: Namespace) -> None:
    spec = SPECS["ReleaseApproval"]
    forged = {"conditions": [{"type": "Counted", "status": "True", "reason": "x", "message": "x", "lastTransitionTime": "2026-11-21T00:00:00Z"}]}
    obj = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": "a"}, "spec": spec, "status": forged}
    assert "status" not in governed.create(obj, as_user=GITOPS)


@pytest.mark.parametrize("label", [GOVERN_LABEL, STAGE_LABEL, STRICT_LABEL])
def test_a_governed_namespace_stays_governed(cluster: Cluster, governed: Namespace, label: str) -> None:
    governed.label({STRICT_LABEL: "true"})
    for value in (None, "other"):
        for subresource in ("", "status"):
            change = {"metadata": {"labels": {label: value}}}
            with pytest.raises(StepFailed, match=rf"the label {label} of a governed namespace is changed by the platform team only"):
                patched(governed, f"namespace/{governed.name}", change, as_user=GITOPS, subresource=subresource)
    # The platform team, here the group system:masters, may.
    governed.label({label: None})
    assert label not in json.loads(cluster.kubectl("get", "namespace", governed.name, "--output=json").stdout)["metadata"]["labels"]


@pytest.mark.parametrize("label", [SCRATCH_LABEL, PROFILE_LABEL])
def test_whose_drills_a_governed_namespace_is_scratch_for_and_its_profile_are_said_by_the_platform_team(governed: Namespace, label: str) -> None:
    refused = rf"the label {label} of a governed namespace is set and changed by the platform team only"
    for before, after in ((None, "payments"), ("payments", "risk"), ("payments", None)):
        governed.label({label: before})
        for subresource in ("", "status"):
            with pytest.raises(StepFailed, match=refused):
                patched(governed, f"namespace/{governed.name}", {"metadata": {"labels": {label: after}}}, as_user=GITOPS, subresource=subresource)


def test_labels_cannot_be_dropped_by_finalizing_a_namespace(cluster: Cluster, governed: Namespace) -> None:
    namespace = json.loads(cluster.kubectl("get", "namespace", governed.name, "--output=json").stdout)
    del namespace["metadata"]["labels"][GOVERN_LABEL]
    words = ("replace", "--raw", f"/api/v1/namespaces/{governed.name}/finalize", "--filename=-")
    with pytest.raises(StepFailed, match=f"the label {GOVERN_LABEL} of a governed namespace"):
        cluster.kubectl(*words, stdin=json.dumps(namespace), as_user=GITOPS)


def test_other_labels_and_stricter_ones_are_anybodys(cluster: Cluster, governed: Namespace) -> None:
    cluster.kubectl("label", "namespace", governed.name, "team=a", f"{STRICT_LABEL}=true", as_user=GITOPS)
    labels = json.loads(cluster.kubectl("get", "namespace", governed.name, "--output=json").stdout)["metadata"]["labels"]
    assert (labels["team"], labels[STRICT_LABEL], labels[GOVERN_LABEL]) == ("a", "true", "true")


def test_a_namespace_that_is_not_governed_is_labelled_as_ever(cluster: Cluster, gate: None, ns: Namespace) -> None:  # noqa: ARG001 - effective
    for labels in ({STAGE_LABEL: "staging"}, {STAGE_LABEL: "production"}, {GOVERN_LABEL: "false"}, {GOVERN_LABEL: "true"}):
        words = [f"{key}={value}" for key, value in labels.items()]
        cluster.kubectl("label", "namespace", ns.name, "--overwrite", *words, as_user="platform", groups=["system:masters"])
