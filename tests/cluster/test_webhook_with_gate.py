"""The webhook behind the policies of L0: what the API server puts on, the webhook takes off in the same request, for entitled releases only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from e2e.cluster import Cluster
from tests.cluster.installation import CONTROLLER, ROOT
from tests.cluster.namespace import Namespace
from tests.cluster.release import ReleaseCase
from tests.cluster.webhook import Webhook, create
from tests.unit.decision.case import digest_of
from tests.unit.webhook.reviews import READINESS, SCHEDULING, deployment, pod

Object = dict[str, Any]
SEEN_SECONDS = 20
WEB: Object = {"containers": [{"name": "web", "image": f"registry.example.com/web@{digest_of('web')}"}], "volumes": [], "serviceAccountName": "default"}


@pytest.fixture(scope="module")
def webhook(cluster: Cluster, gate: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:  # noqa: ARG001 - the policies are effective
    """Two replicas behind L0."""
    with Webhook(cluster, tmp_path_factory.mktemp("webhook"), drain=0.5) as running:
        yield running


@pytest.fixture
def release(webhook: Webhook, ns: Namespace) -> ReleaseCase:
    """A release that waits for its approvals; people decide as themselves."""
    assert webhook.replicas
    prepared = ReleaseCase(ns, stamped=True)
    prepared.apply_all_but_approvals()
    return prepared


@pytest.fixture
def approved(ns: Namespace, release: ReleaseCase) -> Namespace:
    """A namespace in which both replicas know that the release is approved."""
    release.approve()
    _dry_run_until(ns, pod(gated=False), lambda obj: obj is not None and gates(obj) == ([], []))
    return ns


@pytest.fixture
def waiting(ns: Namespace, release: ReleaseCase) -> Namespace:
    """A namespace in which both replicas know the release, and that nobody approved it."""
    _dry_run_until(ns, pod(release=None, gated=False), lambda obj: obj is None)
    assert release.name
    return ns


def _dry_run_until(ns: Namespace, obj: Object, condition: Callable[[Object | None], bool]) -> None:
    """Several answers in a row, since either replica may be asked."""
    deadline, row = time.monotonic() + SEEN_SECONDS, 0
    while row < 4:
        answer, said = create(ns, obj, dry_run=True)
        row = row + 1 if condition(answer) else 0
        assert time.monotonic() < deadline, said


def gates(obj: Object) -> tuple[list[Object], list[Object]]:
    return obj["spec"].get("schedulingGates", []), obj["spec"].get("readinessGates", [])


def owner(*, paused: bool | None = None, release: str | None = "churn-2-1-0") -> Object:
    """A Deployment as people write it."""
    obj = deployment(held=None, paused=False, release=release)
    del obj["metadata"]["namespace"], obj["spec"]["template"]["metadata"]["generateName"]
    obj["spec"] |= {"replicas": 0, "selector": {"matchLabels": {"app": "churn"}}} | ({} if paused is None else {"paused": paused})
    return obj


def held(obj: Object) -> tuple[bool, str]:
    return obj["spec"].get("paused", False), obj["metadata"].get("annotations", {}).get("sluice.dev/held", "")


def test_a_pod_keeps_both_gates_while_the_release_waits(waiting: Namespace) -> None:
    assert gates(waiting.create(pod(gated=False))) == ([SCHEDULING], [READINESS])


def test_a_pod_of_an_approved_release_has_no_gate_when_it_is_stored(approved: Namespace) -> None:
    assert gates(approved.create(pod(gated=False))) == ([], [])


def test_a_stranger_in_a_strict_namespace_is_let_go_in_the_same_request(waiting: Namespace) -> None:
    waiting.label({"sluice.dev/strict": "true"})
    _dry_run_until(waiting, pod(release="nobodys", gated=False), lambda obj: obj is not None and gates(obj)[0] == [SCHEDULING])
    assert gates(waiting.create(pod(release=None, gated=False, **WEB))) == ([], [])


def test_an_owner_is_paused_until_the_approval_and_then_by_nobody(waiting: Namespace, release: ReleaseCase) -> None:
    assert held(waiting.apply(owner())) == (True, release.name)
    # Whoever writes, and whatever: it stays held.
    assert held(waiting.apply(owner(paused=False), field_manager="git")) == (True, release.name)
    release.approve()
    _dry_run_until(waiting, pod(gated=False), lambda obj: obj is not None and gates(obj) == ([], []))
    assert held(waiting.apply(owner(), field_manager="again")) == (False, "")


def test_an_owner_of_an_approved_release_is_never_seen_paused(approved: Namespace) -> None:
    stored = approved.apply(owner())
    assert held(stored) == (False, "")
    assert "paused" not in stored["spec"]
    # Nobody owns the field, so a GitOps tool has nothing to compare.
    assert all("f:paused" not in json.dumps(entry) for entry in approved.get("deployment", "churn")["metadata"].get("managedFields", []))


def test_an_owner_that_its_own_people_paused_stays_paused_when_it_comes_to_name_an_approved_release(approved: Namespace) -> None:
    approved.apply(owner(release=None, paused=True))
    assert held(approved.apply(owner(paused=True))) == (True, "")
    approved.kubectl("rollout", "resume", "deployment/churn")
    assert held(approved.get("deployment", "churn")) == (False, "")


def test_a_release_that_was_withdrawn_waits_and_one_that_drifted_is_denied_by_every_replica(approved: Namespace, release: ReleaseCase) -> None:
    spec = yaml.safe_load((ROOT / "examples/ReleaseMonitor.yaml").read_text())["spec"] | {
        "release": {"name": release.name}, "releaseDigest": approved.get("releaseapproval", "by-owner")["spec"]["releaseDigest"],
    }  # fmt: skip

    rbac = "rbac.authorization.k8s.io"
    role, subject = ({"apiGroup": rbac, "kind": kind, "name": name} for kind, name in (("ClusterRole", "cluster-admin"), ("User", CONTROLLER)))
    approved.apply({"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "all"}, "roleRef": role, "subjects": [subject]})

    def find(ask: str) -> None:
        finding = {"cause": "Drift", "ask": ask, "at": "2026-11-21T12:00:00Z", "message": "mean: rise to 0.3"}
        monitor = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseMonitor", "metadata": {"name": ask.lower()}, "spec": spec}
        approved.create(monitor, as_user=CONTROLLER)
        words = ("apply", "--server-side", "--field-manager=test", "--subresource=status", "--filename=-")
        approved.kubectl(*words, stdin=json.dumps(monitor | {"status": {"findings": [finding]}}), as_user=CONTROLLER)

    find("Withdraw")
    _dry_run_until(approved, pod(gated=False), lambda obj: obj is not None and gates(obj) == ([SCHEDULING], [READINESS]))
    find("RollBack")
    _dry_run_until(approved, pod(gated=False), lambda obj: obj is None)
    _, denied = create(approved, pod(gated=False))
    assert "churn/2.1.0 was rolled back" in denied
    assert "(DriftRolledBack)" in denied
    # Only the platform team brings back what was found.
    approved.kubectl("delete", "mrm", "--all")
    _dry_run_until(approved, pod(gated=False), lambda obj: obj is not None and gates(obj) == ([], []))


# The last of this module: there are no replicas after it.
def test_with_every_replica_gone_named_pods_wait_other_digests_are_refused_and_owners_stay_held(webhook: Webhook, approved: Namespace) -> None:
    for replica in webhook.replicas:
        assert replica.end() == 0, replica.log.read_text()
    assert gates(approved.create(pod(gated=False))) == ([SCHEDULING], [READINESS])
    refused = approved.kubectl("create", "--filename=-", stdin=json.dumps(pod(release=None, gated=False, **WEB)), check=False)
    assert refused.returncode != 0
    assert "ungated.validate.sluice.dev" in refused.stderr
    assert held(approved.apply(owner()))[0]
