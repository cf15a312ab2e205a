"""A drill in a scratch namespace: the same, with everything elsewhere, and nothing left there whoever is killed or deleted meanwhile."""

from __future__ import annotations

import base64
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest

from sluice.api.drill import DrillStatus
from sluice.api.names import DRILL_LABEL, DRILL_NAMESPACE_LABEL, DRILL_UID_LABEL, RELEASE_LABEL
from sluice.cluster.resource import CONFIG_MAPS, PODS, SERVICES
from sluice.controller.drill_plan import KeptLists
from sluice.controller.drill_status import Pins
from sluice.decision.weights import stored_weights
from sluice.evidence.drill import parse_drill
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.statement import parse_statement
from sluice.rollout.drill_objects import Role, Site
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case as c
from tests.unit.decision.test_drills import drilled_world, result_of
from tests.unit.decision.test_weights import CLAIM, release_of, world_of
from tests.unit.rollout.canary_bench import Killed
from tests.unit.rollout.drill_bench import AT, NAME, SCRATCH, Bench, scratch_namespace
from tests.unit.rollout.test_drill import WAY, without_approval

Object = dict[str, Any]
SERVICE = SERVICES.path(SCRATCH, NAME)


def at_home(bench: Bench) -> list[str]:
    """What there is in the namespace of the release that was not there before."""
    before = ("/deployments/", "/replicasets/", "/releasedrills/", "/releaseevidences/", "/events/")
    return [path for path in bench.client.objects if f"/namespaces/{c.NAMESPACE}/" in path and not any(part in path for part in before)]


async def test_it_is_done_there_and_its_evidence_says_so() -> None:
    bench = Bench(scratch=True)
    await bench.until("Withdrawing")
    for role, release in (("release", c.NAME), ("baseline", c.BASELINE)):
        labels = bench.pod(role)["metadata"]["labels"]
        assert labels == {RELEASE_LABEL: release, DRILL_LABEL: NAME, "sluice.dev/drill-role": role, DRILL_NAMESPACE_LABEL: c.NAMESPACE}
    assert bench.client.objects[SERVICE]["spec"] == {"clusterIP": "None", "selector": {DRILL_LABEL: NAME}}
    assert at_home(bench) == []
    status = await bench.until_over()
    assert bench.phases == WAY
    DrillStatus.model_validate(status)
    assert status["scratchNamespace"] == SCRATCH
    assert bench.left() == []
    (evidence,) = bench.evidence()
    assert evidence["metadata"]["namespace"] == c.NAMESPACE
    said = parse_drill(parse_statement(verify_bundle(base64.b64decode(evidence["spec"]["bundle"]["inline"]), c.controller_keys()).payload))
    assert said.scratch_namespace == SCRATCH
    bench.feed.world.put("ReleaseEvidence", evidence)
    result = result_of(bench.feed.world, now=said.finished_at)
    assert result.reason == "DrillPassed"
    assert f"in scratch namespace {SCRATCH}" in result.message


async def killed(world: c.World, write: int) -> Bench:
    """A drill during whose `write`-th write the controller was killed."""
    bench, done = Bench(world, scratch=True), 0

    def die() -> None:
        nonlocal done
        done += 1
        if done == write + 1:
            raise Killed

    bench.client.after_write = die
    with suppress(Killed):
        await bench.until_over()
    bench.client.after_write = lambda: None
    bench.restart()
    bench.kubelet()
    bench.deliver()
    return bench


async def test_a_drill_that_is_killed_after_any_write_passes_all_the_same_and_one_that_is_deleted_then_leaves_nothing() -> None:
    world = drilled_world()
    undisturbed = Bench(world, scratch=True)
    await undisturbed.until_over()
    there = 0
    for number in range(len(undisturbed.client.writes)):
        bench = await killed(world, number)
        before = deepcopy(bench.client.objects)
        status = await bench.until_over()
        assert status["phase"] == "Passed", (number, undisturbed.client.writes[number], status)
        assert bench.left() == [], number
        assert len(bench.evidence()) == 1, number
        # Instead, the drill goes while nobody leads, so that nobody hears of it.
        bench.client.objects = before
        del bench.client.objects[bench.path]
        bench.restart()
        bench.deliver()
        bench.collect()
        there += bool(bench.left())
        while await bench.reconciler.sweep(AT) is not None:
            bench.collect()
        assert bench.left() == [], number
    assert there > 10, "most of the time there was something to sweep"


async def test_what_a_deleted_drill_has_left_is_deleted_when_that_is_heard_of() -> None:
    bench = Bench(scratch=True)
    await bench.until("Restoring")
    del bench.client.objects[bench.path]
    bench.deliver()
    assert await bench.reconciler.settle(AT) == 1.0
    bench.collect()
    assert bench.left() == []
    assert await bench.reconciler.settle(AT) is None


async def test_a_sweep_touches_neither_what_is_in_use_nor_what_was_never_a_drills() -> None:
    bench = Bench(scratch=True)
    await bench.until("Restoring")
    for namespace, drill in (("elsewhere", "monday"), (SCRATCH, "")):
        labels = {DRILL_UID_LABEL: "1", DRILL_NAMESPACE_LABEL: c.NAMESPACE, DRILL_LABEL: drill}
        bench.client.put(SERVICES, {"metadata": {"namespace": namespace, "name": "theirs", "uid": "t", "labels": labels}})
    before = set(bench.client.objects)
    assert await bench.reconciler.sweep(AT) is None
    assert set(bench.client.objects) == before
    # Another drill of the same name is not the one that made it.
    bench.client.objects[bench.path]["metadata"]["uid"] = "drill-uid-2"
    assert await bench.reconciler.sweep(AT) == 1.0
    assert SERVICE not in bench.client.objects


async def test_its_service_goes_when_nothing_else_is_left_so_that_it_is_known_until_then_whose_that_is() -> None:
    bench = Bench(scratch=True)
    await bench.until("Withdrawing")
    delete, ending = bench.client.delete, list[str]()

    async def slowly(path: str, *, uid: str | None = None) -> Object:
        if "/pods/" not in path or path in ending:
            return await delete(path, uid=uid)
        ending.append(path)
        bench.client.objects[path]["metadata"]["deletionTimestamp"] = bench.client.now
        return bench.client.objects[path]

    bench.client.delete = slowly  # type: ignore[method-assign]
    without_approval(bench)
    while len(ending) < 2:
        await bench.look()
    for _ in range(3):
        await bench.look()
        assert SERVICE in bench.client.objects
        assert bench.status["conditions"][0]["status"] == "False"
    for path in ending:
        await delete(path)
    await bench.until_over()
    assert bench.left() == []


@pytest.mark.parametrize(
    ("labels", "reason", "words"),
    [
        ({"scratch_for": None}, "ScratchNotFound", "sluice.dev/scratch-for: payments; ask the platform team"),
        ({"scratch_for": "risk"}, "ScratchNotFound", "no other namespace has the label"),
        ({"scratch_for": SCRATCH}, "ScratchNotFound", "no other namespace has the label"),
        ({"govern": None}, "ScratchNotGoverned", f"namespace {SCRATCH} (sluice.dev/scratch-for: payments) is not governed; ask"),
        ({"stage": None}, "ScratchStageNotPermitted", "sluice.dev/stage: (no label), and churn-2-1-0 is for"),
        ({"stage": "playground"}, "ScratchStageNotPermitted", "sluice.dev/stage: playground, and churn-2-1-0 is for"),
    ],
    ids=["absent", "for-another", "for-itself", "not-governed", "no-stage", "other-stage"],
)  # fmt: skip
async def test_a_namespace_that_is_not_prepared_is_not_used_and_it_is_said_what_it_lacks(labels: dict[str, str | None], reason: str, words: str) -> None:
    bench = Bench(scratch=True)
    bench.feed.world.put("Namespace", scratch_namespace(**labels))
    assert await bench.look() == 5.0
    assert (bench.status["phase"], bench.status["reason"]) == ("Pending", reason)
    assert words in bench.status["message"]
    assert bench.left() == []
    # Once it is prepared the drill goes on; if nobody does, it fails.
    bench.feed.world.put("Namespace", scratch_namespace())
    await bench.until("Starting")
    late = Bench(scratch=True)
    late.feed.world.put("Namespace", scratch_namespace(**labels))
    await late.look()
    late.age(700)
    assert (await late.until_over())["reason"] == reason


async def test_the_first_that_fits_is_taken() -> None:
    bench = Bench(scratch=True)
    for name, labels in (("a-drills", {"govern": None}), ("b-drills", {"stage": "playground"}), ("z-drills", {})):
        other = scratch_namespace(**labels)
        other["metadata"]["name"] = name
        bench.feed.world.put("Namespace", other)
    await bench.until("Starting")
    assert bench.status["scratchNamespace"] == SCRATCH


@pytest.mark.parametrize("labels", [{"scratch_for": "risk"}, {"scratch_for": None}, {"govern": None}, {"stage": "playground"}], ids=str)
async def test_a_namespace_that_is_scratch_no_more_ends_the_drill_and_is_left_clean(labels: dict[str, str | None]) -> None:
    bench = Bench(scratch=True)
    await bench.until("Restoring")
    bench.feed.world.put("Namespace", scratch_namespace(**labels))
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "NotPermitted")
    assert (bench.left(), bench.evidence()) == ([], [])


@pytest.mark.parametrize("resource", [SERVICES, PODS], ids=lambda resource: resource.plural)
async def test_what_somebody_else_has_there_under_its_names_is_not_touched(resource: Any) -> None:  # noqa: ANN401 - a Resource
    bench = Bench(scratch=True)
    name = {"services": NAME, "pods": f"{NAME}-release"}[resource.plural]
    labels = {DRILL_LABEL: NAME, DRILL_NAMESPACE_LABEL: c.NAMESPACE, DRILL_UID_LABEL: "of-another"}
    other = {"metadata": {"namespace": SCRATCH, "name": name, "uid": "x", "resourceVersion": "1", "labels": labels}, "spec": {}, "status": {"conditions": []}}
    path = bench.client.put(resource, other)
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "NameTaken")
    assert bench.left() == [path]


async def test_a_drill_whose_service_somebody_deletes_has_lost_its_pods() -> None:
    bench = Bench(scratch=True)
    await bench.until("Withdrawing")
    del bench.client.objects[SERVICE]
    # The garbage collector takes its time, and only then nothing is left.
    collect, bench.collect = bench.collect, lambda: None  # type: ignore[method-assign]
    for _ in range(5):
        await bench.look()
    assert (bench.status["phase"], bench.status["reason"]) == ("Failed", "PodLost")
    assert bench.status["conditions"][0]["status"] == "False"
    bench.collect = collect  # type: ignore[method-assign]
    await bench.until_over()
    assert bench.left() == []


async def test_weights_that_are_checked_where_they_are_loaded_have_their_signed_list_there() -> None:
    world, client = world_of(CLAIM), MemoryClient()
    release = release_of(world)
    service: Object = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": SCRATCH, "name": NAME, "uid": "s1"}}
    pins = Pins(release_digest=release.digest, baseline="other", baseline_digest="", deployment="churn")
    lists = KeptLists(client=client, namespace=release.namespace, release=release.name, pins=pins, world=world)
    await lists(Role.RELEASE, Site(owner=service | {"metadata": service["metadata"] | {"namespace": release.namespace}}))
    assert client.objects == {}, "where the release is they are kept with it"
    await lists(Role.RELEASE, Site(owner=service, home=release.namespace))
    (weights,) = stored_weights(release)
    (made,) = client.objects.items()
    assert made[0] == CONFIG_MAPS.path(SCRATCH, weights.manifest)
    assert made[1]["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Service", "name": NAME, "uid": "s1"}]
