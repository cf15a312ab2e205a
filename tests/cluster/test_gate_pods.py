"""Pods are held, withheld and guarded by the API server alone: no webhook and no controller runs here."""

from __future__ import annotations

import json
from itertools import product

import pytest

from e2e.cluster import Cluster, StepFailed
from sluice.api.names import READINESS_GATE, RELEASE_LABEL, SCHEDULING_GATE, STRICT_LABEL
from tests.cluster.gate import EDITOR, GITOPS, OTHER_IMAGE, WEBHOOK, Object, patched, pod
from tests.cluster.installation import CONTROLLER, DIGEST
from tests.cluster.namespace import Namespace, condition_of

ADMIN = None
UNGATE = [{"op": "remove", "path": "/spec/schedulingGates"}]
SERVING = {"status": {"conditions": [{"type": READINESS_GATE, "status": "True", "reason": "Entitled"}]}}


def gates(obj: Object) -> list[str]:
    return [gate["name"] for gate in obj["spec"].get("schedulingGates", [])]


def readiness(obj: Object) -> list[str]:
    return [gate["conditionType"] for gate in obj["spec"].get("readinessGates", [])]


def test_a_pod_that_names_a_release_is_held_and_withheld(cluster: Cluster, governed: Namespace) -> None:
    stored = governed.apply(pod(cluster, "churn", release="churn-2"), as_user=EDITOR)
    assert gates(stored) == [SCHEDULING_GATE]
    assert readiness(stored) == [READINESS_GATE]
    waiting = governed.wait("pod", "churn", lambda obj: condition_of(obj, "PodScheduled") == "False")
    assert [c["reason"] for c in waiting["status"]["conditions"] if c["type"] == "PodScheduled"] == ["SchedulingGated"]


def test_gates_that_the_pod_has_already_stay_beside_ours(cluster: Cluster, governed: Namespace) -> None:
    own = {"schedulingGates": [{"name": "example.com/quota"}], "readinessGates": [{"conditionType": "example.com/warm"}]}
    stored = governed.create(pod(cluster, "churn", release="churn-2", **own))
    assert sorted(gates(stored)) == ["example.com/quota", SCHEDULING_GATE]
    assert sorted(readiness(stored)) == ["example.com/warm", READINESS_GATE]


def test_a_pod_that_brings_our_gates_has_them_once(cluster: Cluster, governed: Namespace) -> None:
    own = {"schedulingGates": [{"name": SCHEDULING_GATE}], "readinessGates": [{"conditionType": READINESS_GATE}]}
    stored = governed.create(pod(cluster, "churn", release="churn-2", **own))
    assert (gates(stored), readiness(stored)) == ([SCHEDULING_GATE], [READINESS_GATE])


def test_a_pod_that_names_no_release_is_left_alone(cluster: Cluster, governed: Namespace) -> None:
    stored = governed.create(pod(cluster, "proxy"))
    assert (gates(stored), readiness(stored)) == ([], [])


def test_in_a_strict_namespace_every_pod_is_held(cluster: Cluster, governed: Namespace) -> None:
    governed.label({STRICT_LABEL: "true"})
    for stored in (governed.create(pod(cluster, "proxy")), governed.create(pod(cluster, "churn", release="churn-2"))):
        assert (gates(stored), readiness(stored)) == ([SCHEDULING_GATE], [READINESS_GATE])


def test_a_namespace_that_nobody_opted_in_is_left_alone(cluster: Cluster, gate: None, ns: Namespace) -> None:  # noqa: ARG001 - effective
    stored = ns.create(pod(cluster, "churn", release="churn-2"))
    assert (gates(stored), readiness(stored)) == ([], [])
    assert RELEASE_LABEL not in patched(ns, "pod/churn", {"metadata": {"labels": {RELEASE_LABEL: None}}})["metadata"]["labels"]


def test_a_pod_cannot_pass_by_the_scheduler(cluster: Cluster, governed: Namespace) -> None:
    with pytest.raises(StepFailed, match=r"nodeName.*until all schedulingGates have been cleared"):
        governed.create(pod(cluster, "churn", release="churn-2", nodeName="node"))


def test_only_the_controller_lifts_the_gate(cluster: Cluster, governed: Namespace, subtests: pytest.Subtests) -> None:
    governed.create(pod(cluster, "churn", release="churn-2"))
    held = "only Sluice removes the scheduling gate .* of Pod churn, once release churn-2 is entitled: see kubectl describe mr churn-2"
    for who in (ADMIN, EDITOR, GITOPS, WEBHOOK):
        with subtests.test(who=who), pytest.raises(StepFailed, match="forbidden" if who == WEBHOOK else held):
            patched(governed, "pod/churn", UNGATE, as_user=who, type_="json")
    assert gates(governed.get("pod", "churn")) == [SCHEDULING_GATE]


def test_replacing_the_pod_does_not_lift_the_gate(cluster: Cluster, governed: Namespace) -> None:
    stored = governed.create(pod(cluster, "churn", release="churn-2"))
    stored["spec"]["schedulingGates"] = []
    with pytest.raises(StepFailed, match=r"only Sluice removes the scheduling gate"):
        governed.kubectl("replace", "--filename=-", stdin=json.dumps(stored), as_user=GITOPS)


def test_a_foreign_gate_is_its_owners_to_lift(cluster: Cluster, governed: Namespace) -> None:
    governed.create(pod(cluster, "churn", release="churn-2", schedulingGates=[{"name": "example.com/quota"}]))
    left = patched(governed, "pod/churn", {"spec": {"schedulingGates": [{"name": SCHEDULING_GATE}]}}, as_user=EDITOR)
    assert gates(left) == [SCHEDULING_GATE]


def test_a_lifted_pod_runs_and_serves_when_the_controller_says_so(cluster: Cluster, governed: Namespace) -> None:
    governed.create(pod(cluster, "churn", release="churn-2"))
    assert gates(patched(governed, "pod/churn", UNGATE, as_user=CONTROLLER, type_="json")) == []
    running = governed.wait("pod", "churn", lambda obj: condition_of(obj, "ContainersReady") == "True")
    assert condition_of(running, "Ready") == "False"
    for who in (ADMIN, GITOPS):
        with pytest.raises(StepFailed, match=r"only Sluice sets the condition sluice.dev/serving"):
            patched(governed, "pod/churn", SERVING, as_user=who, subresource="status", type_="strategic")
    patched(governed, "pod/churn", SERVING, as_user=CONTROLLER, subresource="status", type_="strategic")
    governed.wait_ready("churn")
    withdrawn = {"status": {"conditions": [{"type": READINESS_GATE, "$patch": "delete"}]}}
    with pytest.raises(StepFailed, match=r"only Sluice sets the condition sluice.dev/serving"):
        patched(governed, "pod/churn", withdrawn, as_user=GITOPS, subresource="status", type_="strategic")


def test_others_write_the_rest_of_the_status(cluster: Cluster, governed: Namespace) -> None:
    governed.create(pod(cluster, "churn", release="churn-2"))
    other = {"status": {"conditions": [{"type": "example.com/warm", "status": "True"}]}}
    stored = patched(governed, "pod/churn", other, as_user=GITOPS, subresource="status", type_="strategic")
    assert condition_of(stored, "example.com/warm") == "True"


def test_nobody_changes_the_image_of_a_governed_pod(cluster: Cluster, governed: Namespace, subtests: pytest.Subtests) -> None:
    first = [{"name": "init", "image": cluster.images["busybox"]}]
    for name, release in (("churn", "churn-2"), ("plain", None)):
        governed.create(pod(cluster, name, release=release, initContainers=first, schedulingGates=[{"name": "example.com/quota"}]))
        for who, kind in product((ADMIN, EDITOR, CONTROLLER), ("containers", "initContainers")):
            refused = rf"spec.{kind}\[\*\].image of a governed Pod does not change"
            with subtests.test(release=release, who=who, kind=kind), pytest.raises(StepFailed, match=refused):
                patched(governed, f"pod/{name}", [{"op": "replace", "path": f"/spec/{kind}/0/image", "value": OTHER_IMAGE}], as_user=who, type_="json")


def test_nobody_changes_the_release_of_a_governed_pod(cluster: Cluster, governed: Namespace, subtests: pytest.Subtests) -> None:
    everybody = product((ADMIN, GITOPS, CONTROLLER), ("churn-3", None), ("", "status"))
    for name, before in (("churn", "churn-2"), ("plain", None)):
        governed.create(pod(cluster, name, release=before))
    for who, after, subresource in everybody:
        change = {"metadata": {"labels": {RELEASE_LABEL: after}}}
        for name in ("churn",) if after is None else ("churn", "plain"):
            refused = r"the label sluice.dev/release of a Pod does not change"
            with subtests.test(who=who, name=name, after=after, subresource=subresource), pytest.raises(StepFailed, match=refused):
                patched(governed, f"pod/{name}", change, as_user=who, subresource=subresource)
        # What it does not have, and loses, is no change.
        with subtests.test(who=who, subresource=subresource):
            patched(governed, "pod/plain", {"metadata": {"labels": {RELEASE_LABEL: None}}}, as_user=who, subresource=subresource)


def test_other_labels_of_a_held_pod_may_change(cluster: Cluster, governed: Namespace) -> None:
    governed.create(pod(cluster, "churn", release="churn-2"))
    assert patched(governed, "pod/churn", {"metadata": {"labels": {"team": "a"}}}, as_user=EDITOR)["metadata"]["labels"]["team"] == "a"


def debug(ns: Namespace, name: str, image: str, *, as_user: str | None = None) -> Object:
    container = {"name": "debugger", "image": image, "command": ["true"]}
    return patched(ns, f"pod/{name}", {"spec": {"ephemeralContainers": [container]}}, as_user=as_user, subresource="ephemeralcontainers", type_="strategic")


@pytest.mark.parametrize(("release", "strict"), [("churn-2", False), (None, True)])
def test_a_debugging_container_brings_no_image_of_its_own(cluster: Cluster, governed: Namespace, release: str | None, strict: bool) -> None:
    governed.label({STRICT_LABEL: str(strict).lower()})
    governed.create(pod(cluster, "churn", release=release))
    for who in (ADMIN, EDITOR, GITOPS, CONTROLLER):
        with pytest.raises(StepFailed, match=r"must use one of the images that the Pod already has|forbidden"):
            debug(governed, "churn", OTHER_IMAGE, as_user=who)
    assert debug(governed, "churn", cluster.images["busybox"])["spec"]["ephemeralContainers"][0]["name"] == "debugger"


def test_a_pod_without_release_is_debugged_with_any_image(cluster: Cluster, governed: Namespace) -> None:
    governed.create(pod(cluster, "proxy"))
    assert debug(governed, "proxy", OTHER_IMAGE)["spec"]["ephemeralContainers"][0]["image"].endswith(DIGEST)
