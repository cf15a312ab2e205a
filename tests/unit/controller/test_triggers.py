"""A change leads to a look at what it touches, and at nothing else."""

from __future__ import annotations

from collections.abc import Callable

from sluice.cluster.queue import WorkQueue
from sluice.controller.triggers import Triggers
from sluice.controller.work import Item
from sluice.decision.records import Key
from tests.unit.decision import case, signed

OTHER = "marketing"


class Asked(WorkQueue[Item]):
    """Remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.items: set[str] = set()

    def add(self, key: Item) -> None:
        self.items.add(str(key))


def two_namespaces() -> case.World:
    world = case.approved_world()
    world.put("Namespace", {"metadata": {"name": OTHER, "labels": {"sluice.dev/govern": "true", "sluice.dev/stage": "staging"}}})
    world.put("ModelRelease", case.item("ModelRelease", case.NAME, case.release_spec(), namespace=OTHER))
    return world


def looks(change: Callable[[case.World], tuple[str, Key, frozenset[Key]]]) -> set[str]:
    """What is looked at after `change`, which gives kind and key of the object and the releases that it touches."""
    world = two_namespaces()
    queue = Asked()
    triggers = Triggers(world, queue)
    triggers.start()
    queue.items.clear()
    kind, key, touched = change(world)
    triggers.changed(kind, key)
    triggers.touched(touched)
    return queue.items


def test_a_release_is_looked_at_with_what_was_signed_about_it_by_name_or_by_digest() -> None:
    world = signed.world()
    elsewhere = signed.statement(world, "security")
    elsewhere["subject"][0]["name"] = "whatever"
    by_digest = case.sign(elsewhere, identity="sam@example.com", issuer=signed.PEOPLE)
    by_name = signed.by_sam(world)
    world.put("ReleaseEvidence", case.evidence("by-digest", by_digest))
    world.put("ReleaseEvidence", case.evidence("by-name", by_name))
    queue = Asked()
    triggers = Triggers(world, queue)
    triggers.start()
    queue.items.clear()
    triggers.touched([case.KEY])
    assert queue.items == {f"ModelRelease {case.KEY}", "ReleaseEvidence payments/by-digest", "ReleaseEvidence payments/by-name"}


def test_nothing_is_asked_before_the_start_and_everything_at_the_start() -> None:
    world, queue = two_namespaces(), Asked()
    triggers = Triggers(world, queue)
    triggers.changed("TrustRoot", Key(namespace="", name="ci"))
    triggers.touched([case.KEY])
    assert queue.items == set()
    triggers.start()
    kinds = {"ModelRelease", "ReleaseEvidence", "ReleaseApproval", "ReleasePolicy", "TrustRoot", "ScratchSweep"}
    assert {item.split()[0] for item in queue.items} == kinds
    assert len(queue.items) == 2 + 4 + 2 + 1 + 1 + 1


def test_a_policy_is_looked_at_with_the_releases_it_selects_and_their_sign_offs_only() -> None:
    def change(world: case.World) -> tuple[str, Key, frozenset[Key]]:
        spec = case.policy_spec()
        spec["requirements"].pop()
        item = case.item("ReleasePolicy", "customer-facing", spec, namespace="")
        return "ReleasePolicy", Key(namespace="", name="customer-facing"), world.put("ReleasePolicy", item)

    assert looks(change) == {
        "ReleasePolicy customer-facing",
        f"ModelRelease {case.KEY}",
        "ReleaseApproval payments/by-owner",
        "ReleaseApproval payments/by-security",
    }


def test_a_trust_root_is_looked_at_with_all_evidence_and_all_policies() -> None:
    def change(world: case.World) -> tuple[str, Key, frozenset[Key]]:
        key = Key(namespace="", name="ci")
        return "TrustRoot", key, world.remove("TrustRoot", key)

    asked = looks(change)
    assert {f"ReleaseEvidence payments/{name}" for name in case.bundles()} | {"TrustRoot ci", "ReleasePolicy customer-facing"} < asked
    assert f"ModelRelease {case.KEY}" in asked
    assert f"ModelRelease {OTHER}/{case.NAME}" not in asked


def test_a_sign_off_is_looked_at_with_its_release_only() -> None:
    def change(world: case.World) -> tuple[str, Key, frozenset[Key]]:
        key = Key(namespace=case.NAMESPACE, name="by-owner")
        return "ReleaseApproval", key, world.remove("ReleaseApproval", key)

    assert looks(change) == {"ReleaseApproval payments/by-owner", f"ModelRelease {case.KEY}", "ReleaseApproval payments/by-security"}


def test_a_namespace_has_no_status_and_touches_its_releases_only() -> None:
    def change(world: case.World) -> tuple[str, Key, frozenset[Key]]:
        touched = world.put("Namespace", {"metadata": {"name": OTHER, "labels": {"sluice.dev/stage": "test"}}})
        return "Namespace", Key(namespace="", name=OTHER), touched

    assert looks(change) == {f"ModelRelease {OTHER}/{case.NAME}"}


def test_a_suite_is_looked_at_with_the_releases_that_are_scored_on_it() -> None:
    world, queue = case.canary_world(), Asked()
    triggers = Triggers(world, queue)
    triggers.start()
    assert any(item.startswith("ScoringSuite") for item in queue.items)
    queue.items.clear()
    key = Key(namespace=case.NAMESPACE, name="churn-core")
    triggers.touched(world.put("ScoringSuite", case.item("ScoringSuite", "churn-core", case.suite_spec(repeats=2))))
    triggers.changed("ScoringSuite", key)
    looked_at = {item for item in queue.items if not item.startswith("ReleaseApproval")}
    assert looked_at == {f"ScoringSuite {key}", f"ModelRelease {case.KEY}", f"ModelRelease {case.BASELINE_KEY}"}


def test_a_change_of_a_release_that_users_meet_a_share_of_is_looked_at_with_its_run() -> None:
    world, queue = case.canary_world(), Asked()
    run = case.run("churn-2-1-0-1", world)
    triggers = Triggers(world, queue)
    triggers.start()
    for phase, looked_at in (("Scoring", False), ("Exposing", True)):
        world.put("CanaryRun", run | {"status": {"phase": phase, "decision": "Pending"}})
        queue.items.clear()
        triggers.touched([case.KEY])
        assert ("CanaryRun payments/churn-2-1-0-1" in queue.items) is looked_at
