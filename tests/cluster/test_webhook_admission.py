"""The webhook in front of a real API server: what people see, and that no request is lost while certificates and replicas change.

L0 is not installed here: the test puts gates and pauses where L0 would, so that each answer is the webhook's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from e2e.cluster import Cluster
from sluice.cluster.connection import Connection
from tests.cluster.namespace import Namespace
from tests.cluster.release import ReleaseCase
from tests.cluster.webhook import Webhook, create
from tests.unit.decision.case import NAME, digest_of, item, policy_spec
from tests.unit.webhook.reviews import READINESS, SCHEDULING, deployment, pod

Object = dict[str, Any]
SEEN_SECONDS = 20


@pytest.fixture(scope="module")
def webhook(cluster: Cluster, ungated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:  # noqa: ARG001 - L0 is not there
    """Two replicas, whose CA and certificate live for seconds."""
    lifetimes = {"ca_lifetime": 25, "certificate_lifetime": 12, "ca_overlap": 2, "certificate_check": 0.3, "drain": 3}
    with Webhook(cluster, tmp_path_factory.mktemp("webhook"), **lifetimes) as running:
        yield running


@pytest.fixture
def release(webhook: Webhook, ns: Namespace) -> ReleaseCase:
    """A release that waits for its approvals, in a governed namespace."""
    assert webhook.replicas
    prepared = ReleaseCase(ns)
    prepared.apply_all_but_approvals()
    return prepared


def create_until(ns: Namespace, obj: Object, condition: Callable[[Object | None, str], object]) -> tuple[Object | None, str]:
    """Try in dry run until what was just applied has reached both replicas' watches: several answers in a row, since either may be asked."""
    deadline, row = time.monotonic() + SEEN_SECONDS, 0
    while True:
        answer = create(ns, obj, dry_run=True)
        row = row + 1 if condition(*answer) else 0
        if row == 4:
            return answer
        assert time.monotonic() < deadline, answer


def gates(obj: Object | None) -> tuple[list[Object], list[Object]]:
    assert obj is not None
    return obj["spec"].get("schedulingGates", []), obj["spec"].get("readinessGates", [])


def test_a_pod_that_waits_goes_in_gated_and_the_terminal_says_once_what_is_missing(ns: Namespace, release: ReleaseCase) -> None:
    stored, terminal = create_until(ns, pod(), lambda _, said: "ApprovalMissing" in said)
    assert gates(stored) == ([SCHEDULING], [READINESS])
    lines = terminal.splitlines()
    assert lines[0] == f"Warning: held by sluice: churn/2.1.0 is not entitled to serve in namespace {ns.name} (ApprovalMissing)"
    assert any("security" in line for line in lines)
    assert len(lines) == len(set(lines))
    assert release.name == NAME


def test_approval_opens_the_gate_in_the_same_request(ns: Namespace, release: ReleaseCase) -> None:
    create_until(ns, pod(), lambda _, said: "ApprovalMissing" in said)
    release.approve()
    create_until(ns, pod(), lambda obj, _: obj is not None and gates(obj) == ([], []))
    stored, terminal = create(ns, pod())
    assert (gates(stored), terminal) == (([], []), "")


def test_a_rejection_denies_the_pod_and_only_warns_the_deployment(ns: Namespace, release: ReleaseCase) -> None:
    release.decide("no", role="security", username="sam@example.com", groups=[], decision="Reject")
    _, terminal = create_until(ns, pod(), lambda obj, said: obj is None and "Rejected" in said)
    assert f"denied by sluice: churn/2.1.0 was rejected for namespace {ns.name} (Rejected)" in terminal
    assert "→ apply a new ModelRelease" in terminal
    obj = _deployment(ns)
    for dry_run in (True, False):
        stored, terminal = create(ns, obj, dry_run=dry_run)
        assert stored is not None
        assert terminal.startswith("Warning: Pods will be denied by sluice: ")


def test_what_contradicts_an_approved_release_is_denied_with_the_place_and_the_remedy(ns: Namespace, release: ReleaseCase) -> None:
    release.approve()
    create_until(ns, pod(), lambda obj, _: obj is not None and gates(obj) == ([], []))
    other = pod(initContainers=[{"name": "fetch", "image": "busybox:latest"}])
    stored, terminal = create(ns, other)
    assert stored is None
    assert "spec.initContainers[fetch].image is busybox:latest, which names no digest (ImageNotPinned)" in terminal


def test_a_known_model_without_a_release_is_denied(ns: Namespace, release: ReleaseCase) -> None:
    _, terminal = create_until(ns, pod(release=None, gated=False), lambda obj, _: obj is None)
    assert "ReleaseNotNamed" in terminal
    assert f"sluice.dev/release: {release.name}" in terminal


def test_without_the_gate_a_pod_that_should_wait_is_denied(ns: Namespace, release: ReleaseCase) -> None:
    _, terminal = create_until(ns, pod(gated=False), lambda obj, said: obj is None and "ApprovalMissing" in said)
    assert "no scheduling gate sluice.dev/release" in terminal
    assert release.name == NAME


def test_an_ephemeral_container_of_another_image_is_denied(ns: Namespace, release: ReleaseCase) -> None:
    release.approve()
    create_until(ns, pod(), lambda obj, _: obj is not None and gates(obj) == ([], []))
    stored, _ = create(ns, pod())
    assert stored is not None
    done = ns.kubectl("debug", stored["metadata"]["name"], "--image=busybox:latest", "--container=look", check=False)
    assert done.returncode != 0
    assert "spec.ephemeralContainers[look].image is busybox:latest, which names no digest (ImageNotPinned)" in done.stderr


def test_a_policy_whose_expression_does_not_compile_is_refused_at_once_and_in_a_dry_run(ns: Namespace, webhook: Webhook) -> None:
    assert webhook.replicas
    spec = policy_spec() | {"tiers": [{"name": "high", "when": "release.autority.tools.size() > 0"}]}
    # No namespace is called so, so it is nobody's policy.
    spec["selector"]["namespaces"]["matchLabels"] = {"sluice.dev/test": f"{ns.name}-nobody"}
    policy = item("ReleasePolicy", ns.name, spec, namespace="")
    _, terminal = create_until(ns, policy, lambda obj, _: obj is None)
    assert "denied by sluice: spec.tiers[high].when: " in terminal
    assert "undefined field 'autority'" in terminal
    assert "(PolicyInvalid)" in terminal
    assert create(ns, policy)[0] is None
    spec["tiers"][0]["when"] = "'ToolAdded' in changes"
    spec["triggers"] = [{"name": "security-change", "changes": ["ToolAdded"], "when": "release.change.type == 'Merge'", "adds": ["approvals"]}]
    stored, terminal = create(ns, item("ReleasePolicy", ns.name, spec, namespace=""))
    assert stored is not None
    assert "Warning: spec.signers[trainer-ci].trustRoot: there is no TrustRoot 'ci' (TrustRootNotFound)" in terminal
    # The API server itself knows which fields go together.
    spec["triggers"][0]["changes"] = ["RefusalLowered"]
    assert "RefusalLowered needs refusal" in create(ns, item("ReleasePolicy", f"{ns.name}-2", spec, namespace=""))[1]


def _deployment(ns: Namespace) -> Object:
    obj = deployment()
    obj["metadata"]["namespace"] = ns.name
    obj["spec"] |= {"replicas": 0, "selector": {"matchLabels": {"app": "churn"}}}
    del obj["spec"]["template"]["metadata"]["generateName"]
    return obj


def test_a_held_deployment_is_resumed_by_the_next_request_after_the_approval(ns: Namespace, release: ReleaseCase) -> None:
    stored, terminal = create_until(ns, _deployment(ns), lambda _, said: "ApprovalMissing" in said)
    assert stored is not None
    assert stored["spec"]["paused"] is True
    assert terminal.startswith("Warning: held by sluice: ")
    create(ns, _deployment(ns))
    release.approve()
    create_until(ns, pod(), lambda obj, _: obj is not None and gates(obj) == ([], []))
    ns.patch("deployment", "churn", {"metadata": {"labels": {"applied": "again"}}})
    after = ns.get("deployment", "churn")
    assert "paused" not in after["spec"]
    assert "sluice.dev/held" not in after["metadata"]["annotations"]
    assert after["metadata"]["annotations"]["note"] == "kept"


class Load:
    """Dry-run creations of Pods that the webhook must be asked about, from several clients at once."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        connection = Connection.load(kubeconfig=Path(cluster.kubeconfig))
        self._tls = connection.tls
        self._url = f"{connection.server}/api/v1/namespaces/{namespace}/pods?dryRun=All"
        self.answered = 0
        self.failures: list[str] = []

    def reviews(self, webhook: Webhook) -> int:
        """How many of the answers the replicas gave, by their own count: a Pod that nobody asks about proves nothing."""
        series = 'sluice_admission_requests_total{action="Allow",path="/validate",reason="NotGoverned"}'
        lines = [line for replica in webhook.replicas for line in replica.probe("/metrics")[1].splitlines()]
        return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(series))

    async def during(self, body: Callable[[], object], *, clients: int = 4) -> None:
        """Keep asking while `body` runs in a thread."""
        ending = asyncio.Event()
        # Named by digest, without a release: such a Pod does not go in without an answer.
        spec = {"containers": [{"name": "web", "image": f"registry.example.com/web@{digest_of('web')}"}]}
        obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "web-"}, "spec": spec}

        async def ask(session: aiohttp.ClientSession) -> None:
            while not ending.is_set():
                async with session.post(self._url, json=obj) as response:
                    if response.status != 201:
                        self.failures.append(await response.text())
                self.answered += 1
                # Forty a second see any gap; as many as there can be would take both cores from everybody.
                await asyncio.sleep(0.1)

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._tls or False)) as session, asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(ask(session))
            try:
                await asyncio.to_thread(body)
            finally:
                ending.set()


async def test_no_request_is_lost_while_certificate_and_ca_are_replaced(cluster: Cluster, webhook: Webhook, ns: Namespace, release: ReleaseCase) -> None:
    await asyncio.to_thread(create_until, ns, pod(release=None, gated=False), lambda obj, _: obj is None)
    authorities: set[str] = set()
    leaves: set[str] = set()
    refused: list[tuple[str, str]] = []

    def until_two_authorities_later() -> None:
        deadline = time.monotonic() + 90
        while len(authorities) < 3:
            assert time.monotonic() < deadline, (len(authorities), len(leaves))
            data = webhook.secret()
            authorities.add(data["ca.key"])
            leaves.add(data["tls.crt"])
            # The API server keeps its connections, so the load alone would not notice a CA that it does not know.
            refused.extend((bundle, replica.name) for bundle in webhook.bundles() for replica in webhook.replicas if not webhook.trusted(bundle, replica))
            time.sleep(0.2)

    load = Load(cluster, ns.name)
    asked = load.reviews(webhook)
    await load.during(until_two_authorities_later)
    assert load.failures == []
    assert load.reviews(webhook) - asked == load.answered
    assert load.answered > 100
    assert refused == []
    assert len(leaves) >= 3
    assert release.name == NAME


async def test_no_request_is_lost_when_a_replica_ends(cluster: Cluster, webhook: Webhook, ns: Namespace, release: ReleaseCase) -> None:
    await asyncio.to_thread(create_until, ns, pod(release=None, gated=False), lambda obj, _: obj is None)
    leaving = webhook.replicas[0]

    def leave() -> None:
        leaving.process.terminate()
        while leaving.probe("/readyz")[0] == 200:
            time.sleep(0.05)
        webhook.publish(leaving, ready=False)
        assert leaving.end() == 0, leaving.log.read_text()

    load = Load(cluster, ns.name)
    await load.during(leave)
    assert load.failures == []
    assert load.reviews(webhook) > 0
    assert load.answered > 50
    assert release.name == NAME
