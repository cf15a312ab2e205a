"""A probe is one Job at a time: made once, equipped whoever dies in between, read when it has ended, and believed only if the Pod it asked still serves."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from sluice.api.monitor import MonitorSpec
from sluice.api.names import CANARY_LABEL, CANARY_ROLE_LABEL
from sluice.cluster.resource import CONFIG_MAPS, MONITORS, NETWORK_POLICIES, PODS
from sluice.controller.monitor_sources import Pending
from sluice.controller.probes import ProbeSource
from sluice.decision.world import World
from sluice.rollout.scoring_job import ScorerImage
from sluice.scoring.drift.mean import MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.monitor import Monitor, MonitorState, Values, start, take
from sluice.scoring.plan import read_plan
from sluice.scoring.watched import monitor_of
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case as c

Object = dict[str, Any]
IMAGE = ScorerImage(reference="registry.example.com/sluice@sha256:" + "1" * 64, controller_namespace="sluice-system")
ACCURACY: Object = {
    "name": "accuracy", "probe": {"suite": {"name": "churn-core"}, "metric": "accuracy"}, "period": "10m", "detects": "Mean",
    "reference": {"mean": "0.9"}, "missing": "0", "falseAlarmEvery": 10_000, "onDrift": "RollBack",
}  # fmt: skip


class Bench:
    """A release that serves with one Pod, and a monitor with a probe."""

    def __init__(self, *, image: ScorerImage | None = IMAGE, **probe: Any) -> None:  # noqa: ANN401 - fields of the probe
        self.world, self.client = World(), MemoryClient()
        self.suite()
        definition = ACCURACY | {"probe": ACCURACY["probe"] | probe}
        spec = {"release": {"name": c.NAME}, "releaseDigest": "sha256:" + "a" * 64, "policy": "p", "monitor": definition}
        reference = '{"mean":0.9,"n":1000,"variance":0.09}'
        self.monitor = c.item("ReleaseMonitor", "m-1", spec | {"reference": {"mean": reference}})
        self.monitor["metadata"]["uid"] = "m-uid"
        self.client.put(MONITORS, self.monitor)
        self.spec = MonitorSpec.model_validate(self.monitor["spec"])
        assert self.spec.reference is not None
        self.watching: Monitor = monitor_of(self.spec.monitor, self.spec.reference)
        self.state: MonitorState = start(self.watching, now=c.NOW)
        self.pod("churn-1")
        self.source = ProbeSource(client=self.client, world=lambda: self.world, image=image)

    def suite(self, **changes: Any) -> None:  # noqa: ANN401 - fields of the spec
        self.world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(**changes)))

    def pod(self, name: str, *, ready: bool = True) -> None:
        since = "2026-11-20T11:00:00Z"
        types = {"PodScheduled": True, "ContainersReady": ready, "Ready": ready}
        conditions = [{"type": type_, "status": "True" if holds else "False", "lastTransitionTime": since} for type_, holds in types.items()]
        metadata = {"namespace": c.NAMESPACE, "name": name, "labels": {"sluice.dev/release": c.NAME}, "creationTimestamp": since}
        self.client.put(PODS, {"metadata": metadata, "spec": {}, "status": {"phase": "Running", "podIP": "10.0.0.7", "conditions": conditions}})

    async def look(self, *, minutes: float = 1) -> Values | None:
        """One look; None while the probe is under way."""
        try:
            reading = await self.source.reading(self.monitor, self.watching, self.state, now=c.NOW + timedelta(minutes=minutes))
        except Pending:
            return None
        assert isinstance(reading, Values)
        return reading

    def of(self, kind: str) -> list[Object]:
        return [obj for path, obj in self.client.objects.items() if f"/{kind}/" in path]

    def ends(self, *, message: object, code: int = 0, type_: str = "Complete") -> None:
        """The Pod of the Job has ended, and the Job with it."""
        (job,) = self.of("jobs")
        job["status"] = {"conditions": [{"type": type_, "status": "True"}]}
        owner = {"kind": "Job", "uid": job["metadata"]["uid"], "controller": True}
        metadata = {
            "namespace": c.NAMESPACE, "name": "probe-pod", "labels": {"batch.kubernetes.io/job-name": job["metadata"]["name"]}, "ownerReferences": [owner],
        }  # fmt: skip
        said = message if isinstance(message, str) else json.dumps(message)
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "probe", "state": {"terminated": {"exitCode": code, "message": said}}}],
        }
        self.client.put(PODS, {"metadata": metadata, "status": status})

    def told(self, **changes: object) -> Object:
        (job,) = self.of("jobs")
        return {"plan": job["metadata"]["annotations"]["sluice.dev/plan"], "missing": 1, "values": {"1.0": 8, "0.0": 1}} | changes


async def test_a_probe_asks_one_pod_that_serves_reaches_the_release_only_and_can_do_nothing_else() -> None:
    bench = Bench()
    assert await bench.look() is None
    (job,), (policy,), (config,) = bench.of("jobs"), bench.of("networkpolicies"), bench.of("configmaps")
    assert [owner["uid"] for owner in job["metadata"]["ownerReferences"]] == ["m-uid"]
    assert {owner["uid"] for obj in (policy, config) for owner in obj["metadata"]["ownerReferences"]} == {job["metadata"]["uid"]}
    pod = job["spec"]["template"]
    assert pod["metadata"]["labels"] == {CANARY_LABEL: job["metadata"]["name"], CANARY_ROLE_LABEL: "scorer"}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["containers"][0]["image"] == IMAGE.reference
    assert policy["spec"]["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    (rule,) = policy["spec"]["egress"]
    assert rule == {"to": [{"podSelector": {"matchLabels": {"sluice.dev/release": c.NAME}}}], "ports": [{"protocol": "TCP", "port": 8080}]}
    plan = read_plan(config["data"]["plan.json"].encode())
    assert (plan.candidate, plan.digest) == ("http://10.0.0.7:8080", job["metadata"]["annotations"]["sluice.dev/plan"])
    assert [scorer.name for scorer in plan.scorers] == ["accuracy"]
    assert bench.client.writes.index(("create", NETWORK_POLICIES.path(c.NAMESPACE, job["metadata"]["name"]))) < bench.client.writes.index(
        ("create", CONFIG_MAPS.path(c.NAMESPACE, job["metadata"]["name"]))
    ), "the Pod starts once the ConfigMap is there: by then it is known whom it may reach"


async def test_there_is_one_probe_for_one_reading_and_what_it_found_is_the_reading() -> None:
    bench = Bench()
    for _ in range(3):
        assert await bench.look() is None
    assert len(bench.of("jobs")) == 1
    bench.ends(message=bench.told())
    reading = await bench.look()
    assert reading is not None
    assert reading.values == (0.0, *(1.0,) * 8, None)
    assert bench.of("jobs") == []


async def test_what_the_pod_said_is_read_before_its_job_says_that_it_is_complete() -> None:
    bench = Bench()
    await bench.look()
    bench.ends(message=bench.told(), type_="SuccessCriteriaMet")
    reading = await bench.look()
    assert reading is not None
    assert len(reading.values) == 10


async def test_the_pod_of_a_probe_names_the_monitor_that_waits_for_it() -> None:
    bench = Bench()
    await bench.look()
    (job,) = bench.of("jobs")
    assert job["spec"]["template"]["metadata"]["annotations"] == {"sluice.dev/monitor": "m-1"}


@pytest.mark.parametrize("kind", ["jobs", "networkpolicies", "configmaps"])
async def test_a_process_that_dies_after_any_write_leaves_what_the_next_one_completes(kind: str) -> None:
    bench = Bench()
    made = 0

    def dies() -> None:
        nonlocal made
        made += f"/{kind}/" in bench.client.writes[-1][1]
        if made == 1 and f"/{kind}/" in bench.client.writes[-1][1]:
            raise RuntimeError("killed")

    bench.client.after_write = dies
    with pytest.raises(RuntimeError):
        await bench.look()
    bench.client.after_write = lambda: None
    for _ in range(3):
        assert await bench.look() is None
    assert [len(bench.of(each)) for each in ("jobs", "networkpolicies", "configmaps")] == [1, 1, 1]


async def test_what_a_pod_did_not_answer_that_serves_no_more_is_not_held_against_the_release() -> None:
    bench = Bench()
    await bench.look()
    bench.ends(message=bench.told(values={}, missing=9))
    bench.pod("churn-1", ready=False)
    bench.pod("churn-2")
    with pytest.raises(DriftRefused, match="serves no more"):
        await bench.look()
    assert bench.of("jobs") == [], "it is asked again"


async def test_a_probe_that_failed_says_why_and_is_made_again() -> None:
    bench = Bench()
    await bench.look()
    bench.ends(message="the suite measures nothing", code=65, type_="Failed")
    with pytest.raises(DriftRefused, match="the suite measures nothing"):
        await bench.look()
    assert await bench.look() is None
    assert len(bench.of("jobs")) == 1


@pytest.mark.parametrize("message", [{"plan": "sha256:another", "missing": 0, "values": {"1.0": 1}}, "hello"])
async def test_what_another_plan_or_nobody_says_is_refused(message: object) -> None:
    bench = Bench()
    await bench.look()
    bench.ends(message=message)
    with pytest.raises(DriftRefused):
        await bench.look()


async def test_a_job_of_somebody_else_is_neither_believed_nor_deleted() -> None:
    bench = Bench()
    await bench.look()
    bench.of("jobs")[0]["metadata"]["ownerReferences"][0]["uid"] = "another"
    with pytest.raises(DriftRefused, match="not of this monitor"):
        await bench.look()
    assert len(bench.of("jobs")) == 1


async def test_the_first_probe_says_what_is_normal() -> None:
    bench = Bench()

    async def learn() -> object:
        return await bench.source.learn(bench.monitor, bench.spec, release=c.NAME, start=c.NOW, end=c.NOW + timedelta(minutes=1))

    with pytest.raises(Pending):
        await learn()
    bench.ends(message=bench.told())
    assert await learn() == MeanReference.of([1.0] * 8 + [0.0] * 2)


@pytest.mark.parametrize(
    ("bench", "problem"),
    [
        (Bench(image=None), "--scorer-image"),
        (Bench(metric="unknown"), "no scorer 'unknown'"),
        (Bench(suite={"name": "other"}), "no ScoringSuite other"),
        (Bench(suite={"name": "churn-core", "digest": "sha256:" + "b" * 64}), "the monitor names"),
    ],
    ids=["image", "metric", "suite", "digest"],
)
async def test_a_probe_that_cannot_be_made_says_why(bench: Bench, problem: str) -> None:
    with pytest.raises(DriftRefused, match=problem):
        await bench.look()
    assert bench.of("jobs") == []


async def test_nobody_is_asked_while_no_pod_serves() -> None:
    bench = Bench()
    bench.pod("churn-1", ready=False)
    with pytest.raises(DriftRefused, match="no Pod"):
        await bench.look()


LIVE: Object = {"live": {"port": 9000, "path": "/v1/samples"}}


def flags(bench: Bench) -> dict[str, str]:
    (job,) = bench.of("jobs")
    words = job["spec"]["template"]["spec"]["containers"][0]["args"][1:]
    return dict(zip(words[::2], words[1::2], strict=True))


async def test_answers_of_users_are_fetched_where_the_pods_keep_them_and_nowhere_else() -> None:
    bench = Bench(**LIVE)
    assert await bench.look() is None
    told = flags(bench)
    assert told["--live"] == "http://10.0.0.7:9000/v1/samples"
    assert (told["--since"], told["--until"]) == (c.NOW.isoformat(), (c.NOW + timedelta(minutes=1)).isoformat())
    (policy,) = bench.of("networkpolicies")
    assert policy["spec"]["egress"][0]["ports"] == [{"protocol": "TCP", "port": 9000}]


async def test_where_a_time_ends_the_next_one_begins_however_long_the_probe_took() -> None:
    bench = Bench(**LIVE)
    await bench.look(minutes=10)
    # Another process takes over, and the Job was slow.
    assert await bench.look(minutes=12) is None
    bench.ends(message=bench.told())
    reading = await bench.look(minutes=13)
    assert reading is not None
    assert reading.at == c.NOW + timedelta(minutes=10)
    bench.state = take(bench.watching, bench.state, reading, now=c.NOW + timedelta(minutes=13))
    await bench.look(minutes=20)
    assert flags(bench)["--since"] == reading.at.isoformat()


async def test_users_who_asked_nothing_are_no_reading_and_a_suite_without_values_is_an_error() -> None:
    bench = Bench(**LIVE)
    await bench.look()
    bench.ends(message=bench.told(values={}, missing=0))
    assert await bench.source.reading(bench.monitor, bench.watching, bench.state, now=c.NOW + timedelta(minutes=1)) is None
    bench = Bench()
    await bench.look()
    bench.ends(message=bench.told(values={}, missing=0))
    with pytest.raises(DriftRefused, match="it has 0 values"):
        await bench.look()


async def test_a_job_that_does_not_say_until_when_is_no_reading() -> None:
    bench = Bench(**LIVE)
    await bench.look()
    bench.ends(message=bench.told())
    del bench.of("jobs")[0]["metadata"]["annotations"]["sluice.dev/until"]
    with pytest.raises(DriftRefused, match="no time"):
        await bench.look()


async def test_the_first_answers_say_what_is_normal_once_there_are_some() -> None:
    bench = Bench(**LIVE)

    async def learn() -> object:
        return await bench.source.learn(bench.monitor, bench.spec, release=c.NAME, start=c.NOW, end=c.NOW + timedelta(minutes=1))

    with pytest.raises(Pending):
        await learn()
    bench.ends(message=bench.told(values={}, missing=0))
    assert await learn() is None
    with pytest.raises(Pending):
        await learn()
    assert flags(bench)["--since"] == c.NOW.isoformat(), "what was seen before still counts"
    bench.ends(message=bench.told())
    assert await learn() == MeanReference.of([1.0] * 8 + [0.0] * 2)


async def test_pods_are_asked_in_turn() -> None:
    asked = set()
    for minute in range(12):
        bench = Bench()
        bench.pod("churn-2")
        bench.state = start(bench.watching, now=c.NOW + timedelta(minutes=minute))
        await bench.look()
        asked.add(bench.of("jobs")[0]["metadata"]["annotations"]["sluice.dev/probed-pod"])
    assert asked == {"churn-1", "churn-2"}
