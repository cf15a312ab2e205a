"""A candidate beside its baseline on a real cluster: promoted, rolled back, or held, and users notice nothing but the better model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.cluster import Cluster
from tests.cluster.canary_story import BASELINE, CANDIDATE, Canary, sluice_image
from tests.cluster.controller import Controller, Process
from tests.cluster.namespace import Namespace, Object
from tests.cluster.story import SAM

RUN = f"{CANDIDATE}-1"


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    return sluice_image(cluster)


@pytest.fixture(scope="module")
def controller(cluster: Cluster, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Controller(cluster, tmp_path_factory.mktemp("controller")) as installed:
        yield installed.lead("controller-0", scorer_image=image, canary_start=30.0)


@pytest.fixture
def canary(controller: Process, ns: Namespace, image: str) -> Canary:
    assert controller.process.poll() is None, controller.said()
    story = Canary(ns, image)
    story.serve_baseline()
    return story


def written_by_us(ns: Namespace) -> list[str]:
    """Fields of the Deployment that Sluice wrote and that would show as drift against Git."""
    deployment = json.loads(ns.kubectl("get", "deployment", "churn", "--show-managed-fields", "--output=json").stdout)
    return [str(item["fieldsV1"]) for item in deployment["metadata"]["managedFields"] if item["manager"] == "sluice"]


def test_a_good_candidate_is_promoted_and_nobody_waits_for_an_answer(canary: Canary) -> None:
    with canary.users() as users:
        held = canary.push(wrong=0)
        assert held["spec"]["paused"] is True
        decided = canary.wait_decision("Promote")
        canary.wait_phase("Serving")
        canary.until_rolled_out()
        canary.wait_tidy()
    assert users["failed"] == 0, users
    assert users[BASELINE] > 0
    status = decided["status"]
    assert status["reason"] == "WithinMargin"
    assert status["metrics"][0]["name"] == "accuracy"
    assert status["metrics"][0]["towards"] == "Promote"
    assert status["units"] <= status["planned"] == 400
    assert canary.status()["canary"] == {"run": {"name": RUN}, "decision": "Promote"}
    assert written_by_us(canary.ns) == []
    assert not canary.ns.get("deployment", "churn")["spec"].get("paused")


def test_a_bad_candidate_is_rolled_back_before_any_user_meets_it(canary: Canary) -> None:
    with canary.users() as users:
        canary.push(wrong=30)
        decided = canary.wait_decision("RollBack")
        canary.wait_phase("RolledBack")
        canary.wait_tidy()
        after = canary.ns.get("deployment", "churn")
    assert users["failed"] == 0, users
    assert users[CANDIDATE] == 0
    assert decided["status"]["reason"] == "WorseThanMargin"
    assert float(decided["status"]["metrics"][0]["estimate"]) < -0.1
    assert after["spec"]["paused"] is True
    assert after["status"]["readyReplicas"] == 2
    assert written_by_us(canary.ns) == []
    assert ("CanaryRolledBack", "RolledBack") in [(reason, action) for reason, action, _ in canary.until_told(CANDIDATE, "RolledBack")]
    canary.ns.apply(canary.pod("alone"))
    canary.until_told("alone", "Deny")


def test_a_candidate_that_does_not_start_is_rolled_back(canary: Canary) -> None:
    canary.push(wrong=101)
    decided = canary.wait_decision("RollBack", seconds=120)
    assert decided["status"]["reason"] == "CandidateDoesNotStart"
    canary.wait_tidy()


def test_a_release_that_is_stopped_while_it_serves_is_replaced_by_its_baseline_until_git_says_so_too(canary: Canary) -> None:
    def running() -> list[Object]:
        pods = canary.ns.list("pods", selector=f"sluice.dev/release={CANDIDATE}")
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    with canary.users() as users:
        canary.push(wrong=0)
        canary.wait_decision("Promote")
        canary.until_rolled_out()
        canary.decide("stop", "security", SAM, decision="Reject")
        canary.wait_phase("Rejected")
        canary.until(lambda: not running(), seconds=90)
        served = users[CANDIDATE]
        canary.until(lambda: users[BASELINE] > 0)
        assert written_by_us(canary.ns) == []
        assert canary.ns.get("replicaset", "churn-stand-in")["status"]["readyReplicas"] == 2
        # Git is reverted: the Deployment's own Pods come back, and then the stand-in goes.
        canary.ns.apply(canary.first.deployment_of(wrong=0))
        canary.until_rolled_out()
        canary.until(lambda: canary.ns.list("replicasets", selector="sluice.dev/stand-in") == [], seconds=30)
    assert users["failed"] == 0, users
    assert users[CANDIDATE] == served
