"""`kill -9` of the controller after one request after another, and of a scorer in the middle: each run ends as if nothing had happened."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from e2e.cluster import Cluster
from tests.cluster.canary_story import BASELINE, Canary, sluice_image
from tests.cluster.controller import Controller, Process
from tests.cluster.namespace import Namespace

POINTS: tuple[str, ...] = (
    "RUN: made for", "made NetworkPolicy RUN-scorer", "made NetworkPolicy RUN-models", "made Pod RUN-candidate", "made Pod RUN-baseline",
    "made ConfigMap RUN-plan", "made Job RUN-scorer", "→ Scoring", "→ Decided", "deleted Pod RUN-candidate", "deleted Job RUN-scorer",
)  # fmt: skip
"""What the controller says after a request, in the order in which it makes them."""
DECIDES = POINTS.index("→ Decided")
"""What happens before is the same for every decision."""
OVER = "RUN: status written: Decided, Complete=True"
SECONDS = 120


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    return sluice_image(cluster)


def passed(process: Process, points: tuple[str, ...], *, over: str) -> int:
    """Wait until the process has said one of these, or that all is over; how many have been passed by then."""
    deadline = time.monotonic() + SECONDS
    while not (seen := [number for number, point in enumerate(points, start=1) if point in process.said()]):
        if over in process.said():
            # The one before did the last of it, and was killed before it could say so.
            return len(points)
        assert process.process.poll() is None, process.said()
        assert time.monotonic() < deadline, f"none of {points} was said:\n{process.said()}"
        time.sleep(0.01)
    return max(seen)


@pytest.fixture(scope="module")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with Controller(cluster, tmp_path_factory.mktemp("kills")) as everything:
        yield everything


@pytest.fixture(scope="module")
def served(installed: Controller, image: str) -> Iterator[Namespace]:
    """A namespace in which a baseline serves users."""
    with Namespace(installed.cluster) as ns:
        process = installed.lead("first", scorer_image=image)
        Canary(ns, image).serve_baseline()
        process.end()
        yield ns


@pytest.mark.parametrize(
    ("release", "wrong", "decision", "phase", "points"),
    [("churn-2-1-0", 30, "RollBack", "RolledBack", POINTS), ("churn-2-2-0", 0, "Promote", "Serving", POINTS[DECIDES:])],
    ids=["roll-back", "promote"],
)
def test_a_run_ends_right_though_the_controller_is_killed_at_every_step(
    installed: Controller, served: Namespace, image: str, release: str, wrong: int, decision: str, phase: str, points: tuple[str, ...]
) -> None:
    canary, run = Canary(served, image, release=release), f"{release}-1"
    process = installed.lead(f"{release}-0", scorer_image=image)
    with canary.users() as users:
        canary.push(wrong)
        left, kills = tuple(point.replace("RUN", run) for point in points), 0
        while left:
            left = left[passed(process, left, over=OVER.replace("RUN", run)) :]
            process.kill()
            installed.free_lease()
            kills += 1
            if left and left[0] == "→ Scoring":
                # A scorer dies while nobody looks; its Job starts the shard again.
                scorers = f"sluice.dev/canary-run={run},sluice.dev/canary-role=scorer"
                canary.until(lambda: [pod for pod in served.list("pods", selector=scorers) if pod["status"]["phase"] == "Running"])  # noqa: B023 - now
                served.kubectl("delete", "pods", f"--selector={scorers}", "--grace-period=0", "--force")
            process = installed.start(f"{release}-{kills}", scorer_image=image)
        canary.wait_tidy()
        decided = canary.wait_decision(decision)
        canary.wait_phase(phase)
        if phase == "Serving":
            canary.until_rolled_out()
    process.end()
    assert kills >= len(points) // 2
    assert users["failed"] == 0, users
    assert users[BASELINE] > 0
    assert (users[release] > 0) == (phase == "Serving")
    assert [item["metadata"]["name"] for item in served.list("canaryruns") if item["spec"]["release"]["name"] == release] == [run]
    assert len(decided["status"]["metrics"]) == 1
