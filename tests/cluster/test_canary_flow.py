"""Candidates beside their baseline that are no good: users never meet them. How a good one is promoted, `test_installed` shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from e2e.cluster import Cluster
from tests.cluster.canary_story import Canary, sluice_image
from tests.cluster.controller import Controller, Process
from tests.cluster.namespace import Namespace

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
    assert canary.written_by_us() == []
    assert ("CanaryRolledBack", "RolledBack") in [(reason, action) for reason, action, _ in canary.until_told(canary.release, "RolledBack")]
    canary.ns.apply(canary.pod("alone"))
    canary.until_told("alone", "Deny")


def test_a_candidate_that_does_not_start_is_rolled_back(canary: Canary) -> None:
    canary.push(wrong=101)
    decided = canary.wait_decision("RollBack", seconds=120)
    assert decided["status"]["reason"] == "CandidateDoesNotStart"
    canary.wait_tidy()
