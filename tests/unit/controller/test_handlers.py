"""kopf's handlers name a key and nothing else; they write nothing to objects and add no finalizer."""

from __future__ import annotations

from typing import Any, cast

import kopf
import pytest

from sluice.cluster.connection import Connection
from sluice.controller.handlers import registry_of
from sluice.controller.work import Item
from sluice.decision.records import Key


def handlers(given: list[Item]) -> dict[str, Any]:
    registry = registry_of(given.append, cast("Connection", object()))
    return {str(handler.id).rpartition(".")[2]: handler for handler in registry._watching.get_all_handlers()}


def test_there_are_no_handlers_that_would_write_to_objects() -> None:
    registry = registry_of(lambda _: None, cast("Connection", object()))
    assert isinstance(registry, kopf.OperatorRegistry)
    assert list(registry._changing.get_all_handlers()) == []
    assert list(registry._spawning.get_all_handlers()) == []
    assert list(registry._indexing.get_all_handlers()) == []
    assert len(list(registry._watching.get_all_handlers())) == 7


async def test_each_handler_gives_the_key_of_what_must_be_looked_at() -> None:
    given: list[Item] = []
    found = handlers(given)
    labels = {"sluice.dev/release": "churn-2"}
    await found["release_seen"].fn(namespace="payments", name="churn-1")
    await found["pod_of_a_release_seen"].fn(namespace="payments", labels=labels)
    await found["other_held_pod_seen"].fn(namespace="payments", name="plain")
    await found["pod_of_a_run_seen"].fn(namespace="payments", labels=labels | {"sluice.dev/canary-run": "churn-2-1"})
    await found["pod_of_a_probe_seen"].fn(namespace="payments", annotations={"sluice.dev/monitor": "churn-2-refusals"})
    await found["pod_of_a_stand_in_seen"].fn(namespace="payments", annotations={"sluice.dev/instead-of": "churn-3"})
    template = {"metadata": {"labels": labels}}
    body = {"metadata": {"annotations": {"sluice.dev/held": "churn-0"}}, "spec": {"template": template}}
    await found["deployment_seen"].fn(namespace="payments", body=body)
    assert given[:6] == [
        Item("ModelRelease", Key(namespace="payments", name="churn-1")),
        Item("ModelRelease", Key(namespace="payments", name="churn-2")),
        Item("Pod", Key(namespace="payments", name="plain")),
        Item("CanaryRun", Key(namespace="payments", name="churn-2-1")),
        Item("ReleaseMonitor", Key(namespace="payments", name="churn-2-refusals")),
        Item("ModelRelease", Key(namespace="payments", name="churn-3")),
    ]
    assert {str(item) for item in given[6:]} == {"ModelRelease payments/churn-0", "ModelRelease payments/churn-2"}


@pytest.mark.parametrize("written", ["../../pods/x", "a,b=c", "", "A", "x" * 254])
async def test_what_an_annotation_says_is_looked_at_only_if_it_can_be_a_name(written: str) -> None:
    given: list[Item] = []
    found = handlers(given)
    await found["pod_of_a_stand_in_seen"].fn(namespace="payments", annotations={"sluice.dev/instead-of": written})
    await found["pod_of_a_probe_seen"].fn(namespace="payments", annotations={"sluice.dev/monitor": written})
    assert given == []


def test_an_annotation_that_a_template_brings_keeps_no_pod_from_its_run() -> None:
    found = handlers([])
    assert found["pod_of_a_run_seen"].annotations is None
    assert dict(found["pod_of_a_probe_seen"].annotations) == {"sluice.dev/monitor": kopf.PRESENT}


def test_of_pods_without_a_release_only_those_with_our_gate_are_looked_at() -> None:
    when = handlers([])["other_held_pod_seen"].when
    assert when(spec={"schedulingGates": [{"name": "sluice.dev/release"}]})
    assert not when(spec={"schedulingGates": [{"name": "other"}]})
    assert not when(spec={})
