"""After release: what a monitor found takes a release out of traffic, its baseline stands in, and only people bring it back.

The finding is written as the controller would write it; how one is made is another story.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from e2e.cluster import Cluster
from sluice.api.base import NameRef
from sluice.api.monitor import Monitor, MonitorSpec
from sluice.decision.monitors import monitor_name
from tests.cluster.canary_story import BASELINE, CANDIDATE, Canary, sluice_image
from tests.cluster.controller import USER, Controller
from tests.cluster.namespace import Namespace, Object
from tests.cluster.story import Story

DEFINITION: Object = {
    "name": "refusals", "prometheus": {"query": 'refusals{release="$release"}', "answer": "Values"}, "period": "1h", "detects": "Mean",
    "reference": {"mean": "0.1"}, "falseAlarmEvery": 10_000, "onDrift": "RollBack",
}  # fmt: skip
SECONDS = 120
SOON = 10
"""Seconds from the moment that the baseline can serve to no traffic, on a machine that is busy: under a load of 15 on two cores it took less than 5."""
AT_ONCE = 30
"""Seconds from a finding to no traffic where nobody stands in, on such a machine."""


class AfterRelease(Canary):
    """Nothing is asked before a release but evidence and people; a monitor watches after it."""

    def policy_spec(self) -> Object:
        return Story.policy_spec(self) | {"monitors": [DEFINITION]}

    def roll_out(self) -> None:
        """Git names the release, which people have approved, and it serves."""
        self.propose()
        self.wait_phase("AwaitingApproval")
        self.approve()
        self.wait_phase("Serving")
        self.ns.apply(self.deployment_of(wrong=0))
        self.until_rolled_out()

    @property
    def monitor(self) -> MonitorSpec:
        digest = self.status()["releaseDigest"]
        return MonitorSpec(release=NameRef(name=self.release), release_digest=digest, policy=self.ns.name, monitor=Monitor.model_validate(DEFINITION))

    def find(self, ask: str) -> str:
        """A monitor of the release finds drift; gives the name of its object."""
        spec = self.monitor
        name, body = monitor_name(spec), spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        made = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseMonitor", "metadata": {"name": name}, "spec": body}
        # The controller may have made it meanwhile, just like this.
        self.ns.apply(made, as_user=USER)
        finding = {"cause": "Drift", "ask": ask, "at": "2026-11-21T12:00:00Z", "message": "mean: rise to 0.3"}
        told = made | {"status": {"findings": [finding]}}
        words = ("apply", "--server-side", "--force-conflicts", "--field-manager=test", "--subresource=status", "--filename=-")
        self.ns.kubectl(*words, stdin=json.dumps(told), as_user=USER)
        return name

    def revoke(self, *digests: str) -> None:
        """The platform team revokes these releases in the policy, and no others."""
        revoked = [{"type": "Release", "digest": digest, "reason": "poisoned data"} for digest in digests]
        self.ns.patch("mrp", self.ns.name, {"spec": {"revoked": revoked}})

    def pods(self, release: str = "") -> list[Object]:
        return self.ns.list("pods", selector=f"sluice.dev/release={release or self.release}")

    @property
    def waiting(self) -> bool:
        """The Deployment's own Pods are there, and held."""
        pods = self.pods()
        return bool(pods) and all("schedulingGates" in pod["spec"] for pod in pods)


@contextmanager
def budget(ns: Namespace) -> Iterator[None]:
    """One Pod may be missing: with an eviction alone, the second would stay for ever."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "churn"}}}
    ns.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "churn"}, "spec": spec})
    yield
    ns.delete("poddisruptionbudget", "churn")


def last_heard(users: Counter[str], release: str, *, quiet: float = 3, asked: int = 4) -> float:
    """When users heard of a release for the last time, by the clock: for so long nobody did, though so many asked."""
    since = time.time()
    heard, total, changed = users[release], users.total(), since
    while users.total() - total < asked or time.time() - changed < quiet:
        assert time.time() - since < SECONDS, f"{release} still answers, or nobody asks: {users}"
        if users[release] != heard:
            heard, total, changed = users[release], users.total(), time.time()
        time.sleep(0.01)
    return changed


def baseline_ready(ns: Namespace) -> float:
    """When the last Pod of the stand-in came to be ready, by the clock of the same machine."""
    conditions = [condition for pod in ns.list("pods", selector="sluice.dev/stand-in") for condition in pod["status"]["conditions"]]
    return max(datetime.fromisoformat(condition["lastTransitionTime"]).timestamp() for condition in conditions if condition["type"] == "Ready")


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    return sluice_image(cluster)


def test_what_a_monitor_found_takes_a_release_out_of_traffic_and_only_people_bring_it_back(cluster: Cluster, ns: Namespace, image: str, tmp_path: Path) -> None:
    with Controller(cluster, tmp_path) as installed:
        process = installed.lead("controller-0")
        # As the chart installs it: one leads, and one is ready to.
        installed.start("controller-1")
        story = AfterRelease(ns, image)
        story.first = AfterRelease(ns, image, release=BASELINE, baseline=None)
        story.serve_baseline()
        story.roll_out()
        with story.users() as users, budget(ns):
            story.until(lambda: users[CANDIDATE] > 0)
            # Withdrawn: the baseline stands in, the Deployment's own Pods are held.
            name = story.find("Withdraw")
            assert last_heard(users, CANDIDATE) - baseline_ready(ns) < SOON
            assert story.status()["phase"] == "Withdrawn"
            assert story.condition("modelrelease", CANDIDATE, "Healthy", "False", reason="DriftFound").endswith(f"→ Withdraw (mrm/{name})")
            assert ns.get("replicaset", "churn-stand-in")["status"]["readyReplicas"] == 2
            story.until(lambda: story.waiting)
            # The platform team has dealt with it: the release serves again, and the stand-in goes.
            ns.kubectl("delete", "mrm", name)
            story.until_rolled_out()
            story.until(lambda: ns.list("replicasets", selector="sluice.dev/stand-in") == [])
            # Revoked by its digest: no finding, no new object, and the same within seconds; taken back, it serves again.
            story.revoke(story.status()["releaseDigest"])
            assert last_heard(users, CANDIDATE) - baseline_ready(ns) < SOON
            assert story.status()["phase"] == "Revoked"
            assert "revoked release sha256:" in story.condition("modelrelease", CANDIDATE, "Ready", "False", reason="ReleaseRevoked")
            story.until(lambda: ns.list("replicasets", selector="sluice.dev/stand-in") != [])
            story.revoke()
            story.until_rolled_out()
            story.until(lambda: ns.list("replicasets", selector="sluice.dev/stand-in") == [])
            # Rolled back, though the controller is killed between the stand-in and the first eviction. The next one waits for the Lease.
            earlier = process.said()
            story.find("RollBack")
            story.until(lambda: "stands in for Deployment" in process.said().removeprefix(earlier))
            process.kill()
            last_heard(users, CANDIDATE)
            assert story.status()["phase"] == "RolledBack"
            story.until(lambda: story.waiting)
        assert users["failed"] == 0, users
        # Nobody stands in for the baseline, and policy wants it withdrawn all the same.
        with story.users() as users:
            story.until(lambda: users[BASELINE] > 0)
            story.first.find("Withdraw")
            found = time.time()
            assert last_heard(users, BASELINE) - found < AT_ONCE
        story.first.wait_phase("Withdrawn")
        # Applied again, it is what it was.
        ns.kubectl("delete", "mr", CANDIDATE, "--wait")
        story.propose()
        story.wait_phase("RolledBack")
