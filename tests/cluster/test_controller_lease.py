"""Two controllers: one acts, the other knows everything already and takes over; never two."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from e2e.cluster import Cluster
from sluice.controller.run import LEASE_LOST_STATUS
from tests.cluster.controller import Controller
from tests.cluster.namespace import Namespace
from tests.cluster.story import RELEASE, Story

PROMISED_SECONDS = 20
LEADS = "lease sluice-controller: held by"
WROTE = "status written"


@pytest.fixture(scope="module")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with Controller(cluster, tmp_path_factory.mktemp("lease")) as everything:
        yield everything


def test_after_kill_9_the_other_acts_within_20_seconds_and_wrote_nothing_before(installed: Controller, ns: Namespace) -> None:
    leader, follower = installed.lead("killed"), installed.start("heir")
    follower.wait_said("waiting for the lease")
    story = Story(ns)
    story.until_approval_is_missing()
    assert WROTE in leader.said()
    assert follower.probe("/readyz") == (200, "ok\n")
    assert (leader.metric("sluice_leader"), follower.metric("sluice_leader")) == (1, 0)
    leader.kill()
    killed_at = time.monotonic()
    assert WROTE not in follower.said()
    story.approve()
    story.wait_phase("Serving", seconds=PROMISED_SECONDS - (time.monotonic() - killed_at))
    assert time.monotonic() - killed_at < PROMISED_SECONDS
    assert "killed" not in ns.kubectl("get", "lease", "sluice-controller", "-n", "sluice-system", "-o", "jsonpath={.spec.holderIdentity}").stdout
    follower.end()


def test_a_leader_that_was_asleep_for_longer_than_its_lease_ends_without_another_write(installed: Controller, ns: Namespace) -> None:
    sleeper, heir = installed.lead("sleeper"), installed.start("watcher")
    heir.wait_said("waiting for the lease")
    # A write that is on its way when it falls asleep is told when it wakes.
    sleeper.wait_quiet()
    sleeper.process.send_signal(signal.SIGSTOP)
    try:
        heir.wait_said(LEADS, seconds=PROMISED_SECONDS)
        written = sleeper.said().count(WROTE)
        story = Story(ns)
        story.propose()
        story.wait_phase("Pending")
    finally:
        sleeper.process.send_signal(signal.SIGCONT)
    # It wakes with a new release in its watches, and must not write about it.
    story.platform()
    story.wait_phase("AwaitingEvidence")
    assert sleeper.process.wait(timeout=15) == LEASE_LOST_STATUS
    assert sleeper.said().count(WROTE) == written
    assert "the lease is lost" in sleeper.said()
    assert heir.end() == 0


def test_a_leader_that_is_told_to_end_hands_over_at_once(installed: Controller, ns: Namespace) -> None:
    leader, follower = installed.lead("retiring"), installed.start("successor")
    follower.wait_said("waiting for the lease")
    assert leader.end() == 0
    follower.wait_said(LEADS, seconds=6)
    Story(ns).propose()
    ns.wait("modelrelease", RELEASE, lambda mr: mr.get("status", {}).get("phase") == "Pending")
    assert follower.end() == 0
    assert "Traceback" not in leader.said() + follower.said()


def test_what_was_approved_while_no_controller_ran_waits_and_starts_when_one_is_back(installed: Controller, ns: Namespace) -> None:
    gone = installed.lead("gone")
    story = Story(ns)
    story.until_approval_is_missing()
    gone.kill()
    # How long the heir of a killed one waits is tested above.
    installed.free_lease()
    story.approve()
    held = ns.apply(story.deployment("churn"))
    assert held["spec"]["paused"] is True
    assert "schedulingGates" in ns.apply(story.pod("alone"))["spec"]
    assert ns.list("pods", selector="app=churn") == []
    back = installed.start("back")
    ns.wait("deployment", "churn", lambda d: d.get("status", {}).get("readyReplicas") == 2, seconds=60)
    ns.wait_ready("alone")
    assert back.end() == 0
