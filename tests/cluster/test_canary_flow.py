"""Candidates beside their baseline on a real cluster: promoted, rolled back, or held, and users notice nothing but the better model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from e2e.cluster import Cluster
from tests.cluster.canary_story import BASELINE, Canary, sluice_image
from tests.cluster.controller import Controller, Process
from tests.cluster.namespace import Namespace, Object
from tests.cluster.story import SAM

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def controller(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Controller(cluster, tmp_path_factory.mktemp("controller")) as installed:
        yield installed.lead("controller-0", scorer_image=sluice_image(cluster), canary_start=30.0)


@pytest.fixture(scope="module")
def baseline(cluster: Cluster, controller: Process) -> Iterator[Canary]:
    """It serves users the whole time, as it would for the candidates of a year."""
    assert controller.process.poll() is None, controller.said()
    with Namespace(cluster) as ns:
        story = Canary(ns, sluice_image(cluster))
        story.serve_baseline()
        yield story.first


@pytest.fixture
def canary(controller: Process, baseline: Canary) -> Canary:
    """The next candidate. Git has taken back the one before, whatever became of it."""
    assert controller.process.poll() is None, controller.said()
    baseline.ns.apply(baseline.deployment_of(wrong=0))
    baseline.until_rolled_out()
    return Canary(baseline.ns, baseline.image, release=f"churn-2-{next(_NUMBERS)}-0")


def written_by_us(ns: Namespace) -> list[str]:
    """Fields of the Deployment that Sluice wrote and that would show as drift against Git."""
    deployment = json.loads(ns.kubectl("get", "deployment", "churn", "--show-managed-fields", "--output=json").stdout)
    return [str(item["fieldsV1"]) for item in deployment["metadata"]["managedFields"] if item["manager"] == "sluice"]


def test_a_bad_candidate_is_rolled_back_before_any_user_meets_it(canary: Canary) -> None:
    with canary.users() as users:
        canary.push(wrong=30)
        decided = canary.wait_decision("RollBack")
        canary.wait_phase("RolledBack")
        canary.wait_tidy()
        after = canary.ns.get("deployment", "churn")
    assert users["failed"] == 0, users
    assert users[canary.release] == 0
    assert decided["status"]["reason"] == "WorseThanMargin"
    assert float(decided["status"]["metrics"][0]["estimate"]) < -0.1
    assert after["spec"]["paused"] is True
    assert after["status"]["readyReplicas"] == 2
    assert written_by_us(canary.ns) == []
    assert ("CanaryRolledBack", "RolledBack") in [(reason, action) for reason, action, _ in canary.until_told(canary.release, "RolledBack")]
    canary.ns.apply(canary.pod("alone"))
    canary.until_told("alone", "Deny")


def test_a_candidate_that_does_not_start_is_rolled_back(canary: Canary) -> None:
    canary.push(wrong=101)
    decided = canary.wait_decision("RollBack", seconds=120)
    assert decided["status"]["reason"] == "CandidateDoesNotStart"
    canary.wait_tidy()


def test_a_good_candidate_is_promoted_and_once_stopped_its_baseline_stands_in_until_git_says_so_too(canary: Canary) -> None:
    ns = canary.ns

    def running() -> list[Object]:
        pods = ns.list("pods", selector=f"sluice.dev/release={canary.release}")
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    with canary.users() as users:
        held = canary.push(wrong=0)
        assert held["spec"]["paused"] is True
        status = canary.wait_decision("Promote")["status"]
        canary.wait_phase("Serving")
        canary.until_rolled_out()
        canary.wait_tidy()
        assert (status["reason"], status["metrics"][0]["name"], status["metrics"][0]["towards"]) == ("WithinMargin", "accuracy", "Promote")
        assert status["units"] <= status["planned"] == 400
        assert canary.status()["canary"] == {"run": {"name": f"{canary.release}-1"}, "decision": "Promote"}
        assert written_by_us(ns) == []
        assert not ns.get("deployment", "churn")["spec"].get("paused")
        # Somebody stops it while it serves.
        canary.decide("stop", "security", SAM, decision="Reject")
        canary.wait_phase("Rejected")
        canary.until(lambda: not running(), seconds=90)
        served, before = users[canary.release], users[BASELINE]
        canary.until(lambda: users[BASELINE] > before)
        assert written_by_us(ns) == []
        assert ns.get("replicaset", "churn-stand-in")["status"]["readyReplicas"] == 2
        # Git is reverted: the Deployment's own Pods come back, and then the stand-in goes.
        ns.apply(canary.first.deployment_of(wrong=0))
        canary.until_rolled_out()
        canary.until(lambda: ns.list("replicasets", selector="sluice.dev/stand-in") == [], seconds=30)
    assert users["failed"] == 0, users
    assert users[canary.release] == served > 0
