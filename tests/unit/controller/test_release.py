"""One look at a release that a monitor found something about: what is told, what goes, and what is told once."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import pytest

from sluice.api.names import STAND_IN_LABEL
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import EVENTS, NAMESPACES, PODS, RELEASES, REPLICA_SETS, Resource
from sluice.controller.observe import Metrics
from sluice.controller.records import Recorder
from sluice.controller.release import Reconciler
from sluice.rollout.actuation import Announcer
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case
from tests.unit.decision.test_monitors import finding, watching

Object = dict[str, Any]
PATH = RELEASES.path(case.KEY.namespace, case.KEY.name)


class Feed:
    """The world, and the release as it is stored."""

    def __init__(self, world: case.World, client: MemoryClient) -> None:
        self.world = world
        self._client = client

    def store(self, _kind: str) -> Mapping[case.Key, Object]:
        return {case.KEY: deepcopy(self._client.objects[PATH])}

    def blind(self, *, max_age_seconds: float) -> str:
        return "" if max_age_seconds else "it is blind"


class Listing(MemoryClient):
    """Notes which kinds are listed."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[str] = []

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str | None = None, field_selector: str | None = None
    ) -> list[Object]:
        self.listed.append(resource.kind)
        return await super().list(resource, namespace, label_selector=label_selector, field_selector=field_selector)


class Bench:
    """A release that serves with two Pods of nobody's, and no baseline."""

    def __init__(self, *, max_age_seconds: float = 60.0) -> None:
        self.client = Listing()
        release = case.item("ModelRelease", case.NAME, case.release_spec())
        self.client.put(RELEASES, release | {"metadata": release["metadata"] | {"resourceVersion": "1"}})
        for name in ("a", "b"):
            meta = {"namespace": case.NAMESPACE, "name": name, "uid": name, "labels": {"sluice.dev/release": case.NAME}}
            self.client.put(PODS, {"metadata": meta, "spec": {"containers": []}, "status": {"phase": "Running"}})
        self.world = case.approved_world()
        events = EventRecorder(self.client, controller="sluice.dev/controller", instance="test")
        self.metrics = Metrics(leads=lambda: True)
        self.reconciler = Reconciler(
            client=self.client, feed=cast("WorldFeed", Feed(self.world, self.client)), events=events, announcer=Announcer(events), metrics=self.metrics,
            max_age_seconds=max_age_seconds, resync_seconds=300.0, look_at=lambda _: None,
            records=Recorder(client=self.client, key=case.controller_key),
        )  # fmt: skip
        self.client.put(NAMESPACES, {"metadata": {"name": "kube-system", "uid": "cluster-1"}})

    async def look(self, *findings: Object) -> float | None:
        self.world.put("ReleaseMonitor", watching("m-1", *findings))
        return await self.reconciler.release(case.KEY)

    @property
    def told(self) -> list[tuple[str, str, str]]:
        events = [obj for path, obj in self.client.objects.items() if path.startswith(EVENTS.path(case.NAMESPACE))]
        return [(event["type"], event["reason"], event["action"]) for event in events]

    @property
    def phase(self) -> str:
        return str(self.client.objects[PATH]["status"]["phase"])

    @property
    def pods(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.client.objects if "/pods/" in path)


async def test_a_finding_is_told_once_and_so_is_its_end() -> None:
    bench = Bench()
    await bench.look()
    assert bench.told == [("Normal", "Entitled", "Serving")], "that all is well from the beginning is no news"
    for _ in range(2):
        await bench.look(finding("Alert", "Silence"))
    assert bench.told[1:] == [("Warning", "MonitorSilent", "Alarm")]
    await bench.look(finding("Alert"), finding("Alert", "Silence"))
    assert bench.told[2:] == [("Warning", "DriftFound", "Alarm")], "another finding is news"
    bench.world.remove("ReleaseApproval", case.Key(case.NAMESPACE, "by-owner"))
    await bench.look(finding("Alert"), finding("Alert", "Silence"))
    assert bench.told[3:] == [("Normal", "ApprovalMissing", "AwaitingApproval")], "the same findings are none, whatever else changes"
    for _ in range(2):
        await bench.look()
    assert bench.told[4:] == [("Normal", "WithinEnvelope", "Healthy")]
    assert bench.pods == ["a", "b"]


async def test_what_changes_while_it_is_written_is_told_once_and_not_before_it_is_written() -> None:
    bench = Bench()

    def change() -> None:
        if "status" in bench.client.objects[PATH]:
            bench.world.remove("ReleaseApproval", case.Key(case.NAMESPACE, "by-owner"))

    bench.client.after_write = change
    await bench.look()
    assert (bench.phase, bench.told) == ("Serving", [("Normal", "Entitled", "Serving")])
    for _ in range(2):
        await bench.look()
    assert bench.told[1:] == [("Normal", "ApprovalMissing", "AwaitingApproval")]


async def test_what_is_withdrawn_goes_though_nobody_stands_in_and_people_are_told() -> None:
    bench = Bench()
    await bench.look(finding("Withdraw"))
    assert (bench.phase, bench.pods) == ("Withdrawn", [])
    assert bench.told == [("Warning", "DriftFound", "Alarm"), ("Warning", "Withdrawn", "Withdrawn"), ("Warning", "Withdrawn", "Withdraw")]
    assert b"sluice_releases_without_stand_in 0.0" in bench.metrics.render(), "nothing of it serves"


async def test_what_is_rolled_back_stays_while_nobody_stands_in_and_people_are_told() -> None:
    bench = Bench()
    for _ in range(2):
        await bench.look(finding("RollBack"))
    assert (bench.phase, bench.pods) == ("RolledBack", ["a", "b"])
    assert bench.told == [("Warning", "DriftFound", "Alarm"), ("Warning", "DriftRolledBack", "RolledBack"), ("Warning", "BaselineNotEntitled", "StandIn")]
    assert b"sluice_releases_without_stand_in 1.0" in bench.metrics.render()


async def test_stand_ins_are_not_looked_for_again_where_there_are_none_until_one_may_have_been_made() -> None:
    bench = Bench()
    for _ in range(2):
        await bench.look()
    assert bench.client.listed.count(REPLICA_SETS.kind) == 1
    await bench.look(finding("RollBack"))
    del bench.client.listed[:]
    bench.client.put(REPLICA_SETS, left_behind(bench))
    for _ in range(3):
        await bench.look()
    assert not [path for path in bench.client.objects if path.startswith(REPLICA_SETS.path(case.NAMESPACE))], "its Deployment is gone: nobody needs it"
    assert bench.client.listed.count(REPLICA_SETS.kind) == 1


def left_behind(bench: Bench) -> Object:
    """A stand-in of the release."""
    release = bench.client.objects[PATH]["metadata"]
    owner = {"kind": RELEASES.kind, "name": release["name"], "uid": release["uid"], "controller": True}
    meta = {"namespace": case.NAMESPACE, "name": "churn-stand-in", "uid": "s", "labels": {STAND_IN_LABEL: "churn"}, "ownerReferences": [owner]}
    return {"metadata": meta, "spec": {"replicas": 1}}


def revoked(bench: Bench, *entries: Object, on_revoked: str = "Withdraw") -> None:
    bench.world.put("ReleasePolicy", case.item("ReleasePolicy", "customer-facing", case.policy_spec() | {"onRevoked": on_revoked}, namespace=""))
    root = case.trust_root()
    root["spec"]["revoked"] = list(entries)
    bench.world.put("TrustRoot", root)


TRAINER: Object = {"type": "Identity", "identity": case.TRAINER, "issuer": case.ISSUER, "reason": "runner compromised"}


@pytest.mark.parametrize(("on_revoked", "left"), [("Alert", ["a", "b"]), ("Withdraw", []), ("ScaleToZero", [])])
async def test_what_becomes_of_a_release_that_is_revoked_while_it_runs_is_policy(on_revoked: str, left: list[str]) -> None:
    bench = Bench()
    await bench.look()
    revoked(bench, TRAINER, on_revoked=on_revoked)
    await bench.look()
    assert (bench.phase, bench.pods) == ("Revoked", left)
    events = bench.told[1:]
    assert events[0] == ("Warning", "SignerRevoked", "Revoked")
    assert events[1:] == ([] if left else [("Warning", "SignerRevoked", "Withdraw")])
    assert f"sluice_releases_revoked_running {len(left[:1])}.0" in bench.metrics.render().decode()
    # What was revoked by mistake comes back.
    revoked(bench)
    await bench.look()
    assert bench.phase == "Serving"
    assert b"sluice_releases_revoked_running 0.0" in bench.metrics.render(), "what serves again is no trouble to anybody"


async def test_what_was_rolled_back_and_then_revoked_goes_though_nobody_stands_in() -> None:
    bench = Bench()
    await bench.look(finding("RollBack"))
    assert bench.pods == ["a", "b"]
    revoked(bench, TRAINER)
    await bench.look(finding("RollBack"))
    assert (bench.phase, bench.pods) == ("Revoked", [])


async def test_nothing_goes_on_knowledge_that_is_too_old() -> None:
    bench = Bench(max_age_seconds=0.0)
    await bench.look(finding("Withdraw"))
    assert bench.pods == ["a", "b"]
