"""A drill from beginning to end, killed after each of its writes, and everything that can stand in its way."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from sluice.api.drill import DrillStatus
from sluice.api.names import DRILL_LABEL, RELEASE_LABEL
from sluice.cluster.errors import Forbidden
from sluice.cluster.resource import DEPLOYMENTS, EVIDENCE, PODS, REPLICA_SETS, SERVICES
from sluice.evidence.drill import parse_drill
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.statement import parse_statement
from sluice.rollout.drill_objects import name_problem
from tests.unit.decision import case as c
from tests.unit.decision.test_drills import drilled_world, result_of
from tests.unit.rollout.canary_bench import Killed
from tests.unit.rollout.drill_bench import NAME, Bench

Object = dict[str, Any]
WAY = ["Starting", "Serving", "Restoring", "Withdrawing", "Returning", "Proving", "Passed"]


async def test_a_drill_measures_each_step_signs_it_and_leaves_nothing() -> None:
    bench = Bench()
    status = await bench.until_over()
    assert bench.phases == WAY
    DrillStatus.model_validate(status)
    assert set(status["measured"]) == {"restoreSeconds", "outSeconds", "backSeconds"}
    assert (status["reason"], status["baseline"], status["deployment"]) == ("WayBackWorks", {"name": c.BASELINE}, {"name": "churn"})
    assert bench.left() == []
    (evidence,) = bench.evidence()
    assert evidence["metadata"]["name"] == status["evidence"]["name"]
    assert "ownerReferences" not in evidence["metadata"], "evidence outlives the drill"
    said = parse_drill(parse_statement(verify_bundle(base64.b64decode(evidence["spec"]["bundle"]["inline"]), c.controller_keys()).payload))
    assert (said.name, said.uid, said.release, said.baseline, said.cluster) == (NAME, "drill-uid-1", c.NAME, c.BASELINE, "cluster-1")
    bench.feed.world.put("ReleaseEvidence", evidence)
    assert result_of(bench.feed.world, now=said.finished_at).reason == "DrillPassed"
    writes = len(bench.client.writes)
    assert await bench.look() is None
    assert len(bench.client.writes) == writes


async def test_no_label_of_users_is_on_its_pods_and_its_service_knows_no_others() -> None:
    bench = Bench()
    await bench.until("Withdrawing")
    for role, release in (("release", c.NAME), ("baseline", c.BASELINE)):
        pod = bench.pod(role)
        assert pod["metadata"]["labels"] == {RELEASE_LABEL: release, DRILL_LABEL: NAME, "sluice.dev/drill-role": role}
        assert pod["spec"]["readinessGates"] == [{"conditionType": "sluice.dev/serving"}]
        assert pod["spec"]["containers"][0]["env"][0]["valueFrom"] == {"secretKeyRef": {"name": "s"}}, "as the Deployment has it"
    service = bench.client.objects[SERVICES.path(c.NAMESPACE, NAME)]
    assert service["spec"] == {"clusterIP": "None", "selector": {DRILL_LABEL: NAME}}


async def test_a_drill_that_is_killed_after_any_write_passes_all_the_same() -> None:
    world = drilled_world()
    undisturbed = Bench(world)
    await undisturbed.until_over()
    for number in range(len(undisturbed.client.writes)):
        bench, done = Bench(world), 0

        def die(number: int = number) -> None:
            nonlocal done
            done += 1
            if done == number + 1:
                raise Killed

        bench.client.after_write = die
        with suppress(Killed):
            await bench.until_over()
        bench.client.after_write = lambda: None
        bench.restart()
        bench.kubelet()
        bench.deliver()
        status = await bench.until_over()
        assert status["phase"] == "Passed", (number, undisturbed.client.writes[number], status)
        assert bench.left() == [], number
        assert len(bench.evidence()) == 1, number
        assert status["evidence"]["name"] == bench.evidence()[0]["metadata"]["name"]


async def test_a_step_whose_beginning_nobody_saw_is_measured_from_its_beginning() -> None:
    bench = Bench()
    await bench.until("Restoring")
    await bench.look()
    before = bench.pod("baseline")["metadata"]["uid"]
    bench.restart()
    await bench.until("Withdrawing")
    assert bench.pod("baseline")["metadata"]["uid"] != before
    await bench.look()
    bench.restart()
    await bench.look()
    assert "outSeconds" not in bench.status["measured"]
    await bench.until("Returning")
    assert "outSeconds" in bench.status["measured"]


def without_template(bench: Bench) -> None:
    del bench.client.objects[REPLICA_SETS.path(c.NAMESPACE, "churn-old")]


def without_deployment(bench: Bench) -> None:
    del bench.client.objects[DEPLOYMENTS.path(c.NAMESPACE, "churn")]


def without_approval(bench: Bench) -> None:
    bench.feed.world.remove("ReleaseApproval", c.Key(namespace=c.NAMESPACE, name=f"{c.NAME}-by-security"))


def without_baseline(bench: Bench) -> None:
    bench.feed.world.remove("ReleaseApproval", c.Key(namespace=c.NAMESPACE, name=f"{c.BASELINE}-by-security"))


def without_release(bench: Bench) -> None:
    bench.feed.world.remove("ModelRelease", c.KEY)


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        (without_template, "TemplateGone"), (without_deployment, "WorkloadNotFound"), (without_approval, "ReleaseNotPermitted"),
        (without_baseline, "ReleaseNotPermitted"), (without_release, "ReleaseNotFound"),
    ],
)  # fmt: skip
async def test_what_cannot_begin_says_why_and_fails_when_its_time_is_over(breaks: Callable[[Bench], None], reason: str) -> None:
    bench = Bench()
    breaks(bench)
    assert await bench.look() == 5.0
    assert (bench.status["phase"], bench.status["reason"]) == ("Pending", reason)
    assert bench.pods() == []
    bench.age(700)
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert bench.evidence() == []


async def test_a_deployment_that_is_named_is_the_one() -> None:
    bench = Bench(spec={"deployment": {"name": "other"}})
    await bench.look()
    assert bench.status["reason"] == "WorkloadNotFound"


@pytest.mark.parametrize(("role", "reason"), [("release", "ReleaseDoesNotStart"), ("baseline", "BaselineDoesNotStart")])
async def test_a_pod_that_does_not_start_fails_the_drill_and_nothing_is_left(role: str, reason: str) -> None:
    bench = Bench()
    bench.broken.add(f"{NAME}-{role}")
    await bench.until({"release": "Starting", "baseline": "Restoring"}[role])
    for _ in range(3):
        await bench.look()
    bench.pod(role)["status"]["containerStatuses"] = [{"name": "server", "restartCount": 4, "ready": False, "lastState": {"terminated": {"exitCode": 3}}}]
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert "exit code 3" in status["message"]
    assert (bench.left(), bench.evidence()) == ([], [])
    assert b'sluice_rollback_drills_failed{release_namespace="payments"} 1.0' in bench.metrics.render()


@pytest.mark.parametrize("phase", ["Serving", "Restoring", "Withdrawing", "Returning"])
async def test_a_pod_that_goes_away_while_it_is_measured_fails_the_drill(phase: str) -> None:
    bench = Bench()
    await bench.until(phase)
    await bench.look()
    await bench.client.delete(PODS.path(c.NAMESPACE, f"{NAME}-release"))
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "PodLost")
    assert bench.left() == []


async def test_endpoints_that_do_not_follow_fail_the_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await bench.until("Withdrawing")
    bench.deaf = True
    await bench.look()
    monkeypatch.setattr("sluice.rollout.drill.FOLLOW_SECONDS", -1.0)
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "TrafficDoesNotFollow")


async def test_a_release_that_loses_an_approval_meanwhile_is_not_drilled_on() -> None:
    bench = Bench()
    await bench.until("Restoring")
    without_approval(bench)
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "NotPermitted")
    assert bench.left() == []


async def test_a_drill_that_takes_too_long_as_a_whole_fails() -> None:
    bench = Bench()
    bench.broken.add(f"{NAME}-release")
    await bench.until("Starting")
    bench.age(2 * 600 + 4 * 60 + 1)
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "TimeOver")


async def test_users_whose_service_selects_by_the_release_alone_do_not_meet_it() -> None:
    bench = Bench()
    bench.client.put(SERVICES, {"metadata": {"namespace": c.NAMESPACE, "name": "preview"}, "spec": {"selector": {RELEASE_LABEL: c.NAME}}})
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "UsersWouldMeetIt")
    assert "preview" in status["message"]


@pytest.mark.parametrize("resource", [PODS, SERVICES, EVIDENCE], ids=lambda resource: resource.plural)
async def test_what_somebody_else_has_made_under_its_names_is_not_touched(resource: Any) -> None:  # noqa: ANN401 - a Resource
    bench = Bench()
    name = {"pods": f"{NAME}-release", "services": NAME}.get(resource.plural, f"{NAME}-drill-ui")
    other = {
        "metadata": {"namespace": c.NAMESPACE, "name": name, "uid": "x", "resourceVersion": "1"},
        "spec": {"bundle": {"inline": "e30="}, "selector": {"a": "b"}},
        "status": {"conditions": []},
    }
    path = bench.client.put(resource, other)
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "NameTaken")
    assert bench.client.objects[path]["metadata"]["uid"] == "x"


async def test_one_drill_of_a_release_comes_after_the_other() -> None:
    world = drilled_world()
    first, second = Bench(world), Bench(world, name="second")
    await second.look()
    assert second.status["reason"] == "AnotherDrill"
    await first.until_over()
    await second.look()
    assert second.status["phase"] == "Starting"


async def test_a_refusal_of_the_cluster_is_told_and_tried_again() -> None:
    bench = Bench()
    await bench.until("Starting")

    create = bench.client.create

    async def refused(resource: Any, obj: Object, namespace: str | None = None) -> Object:  # noqa: ANN401 - a Resource
        if resource is PODS:
            raise Forbidden(403, "Forbidden", "exceeded quota")
        return await create(resource, obj, namespace)

    bench.client.create = refused  # type: ignore[method-assign]
    await bench.look()
    assert (bench.status["phase"], bench.status["reason"]) == ("Starting", "RefusedByCluster")
    bench.client.create = create  # type: ignore[method-assign]
    assert (await bench.until_over())["phase"] == "Passed"


@pytest.mark.parametrize("name", ["a" * 53, "a.b", "1a", "a-"])
def test_names_that_no_service_can_have_are_told(name: str) -> None:
    assert "DNS label" in name_problem(name)


def test_a_name_that_a_service_can_have_is_fine() -> None:
    assert name_problem("a" * 52) == name_problem("churn-2-1-0") == ""


async def test_a_drill_whose_name_is_too_long_fails_at_once() -> None:
    bench = Bench(name="a" * 60)
    status = await bench.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "DrillInvalid")
