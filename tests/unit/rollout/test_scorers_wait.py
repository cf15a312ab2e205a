"""What scorers wait for is told in the status of their run: nobody reads the events of Pods that will be gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sluice.rollout.comparison import Scoring
from tests.unit.rollout.canary_bench import NOW, Bench


async def test_an_image_that_a_scorer_waits_for_is_told() -> None:
    bench = Bench()
    assert (await bench.until_scoring()).waits == ""
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    bench.pod("churn-2-1-scorer-1-abcde")["status"]["containerStatuses"] = [{"name": "scorer", "state": {"waiting": waiting}}]
    assert (await bench.until_scoring()).waits == "Pod churn-2-1-scorer-1-abcde: container scorer waits: ImagePullBackOff: no such image"


async def test_a_scorer_of_ones_own_that_ends_is_told_by_its_image() -> None:
    bench = Bench()
    await bench.until_scoring()
    pod = bench.pod("churn-2-1-scorer-1-abcde")
    pod["spec"]["initContainers"] = [{"name": "container-8100", "image": "r.example.com/tone@sha256:0"}]
    running = {"name": "container-8100", "restartCount": 1, "state": {"running": {}}}
    pod["status"]["initContainerStatuses"] = [running]
    assert (await bench.until_scoring()).waits == ""
    pod["status"]["initContainerStatuses"] = [running | {"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]
    told = "container container-8100 (image r.example.com/tone@sha256:0) ends again and again, exit code 1 (Error)"
    assert (await bench.until_scoring()).waits == f"Pod churn-2-1-scorer-1-abcde: {told}"


@pytest.mark.parametrize(("seconds", "ready", "told"), [(30, "False", True), (10, "False", False), (30, "True", False)])
async def test_a_secret_that_a_scorer_waits_for_is_told(seconds: int, ready: str, told: bool) -> None:
    bench = Bench()
    await bench.until_scoring()
    pod = bench.pod("churn-2-1-scorer-1-abcde")
    pod["spec"]["volumes"] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "token", "secret": {"secretName": "models", "items": [{"key": "token", "path": "token"}]}},
    ]
    begun = "2026-11-20T12:00:00Z"
    pod["status"] = {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": begun},
            {"type": "PodReadyToStartContainers", "status": ready, "lastTransitionTime": begun},
        ],
        "containerStatuses": [{"name": "scorer", "state": {"waiting": {"reason": "ContainerCreating"}}}],
    }
    progress = await bench.step(now=NOW + timedelta(seconds=seconds))
    assert isinstance(progress, Scoring)
    assert progress.waits == (
        "Pod churn-2-1-scorer-1-abcde has waited 30 s for what is mounted into it; is Secret models with key token missing? kubectl describe pod says"
        if told
        else ""
    )
