"""A verdict does not change before it says so: neither by time alone, nor because it was asked for before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.decision.decide import decide
from sluice.decision.model import Release, Verdict
from tests.unit.decision import case as c
from tests.unit.decision import test_drills as drills
from tests.unit.decision.test_monitors import finding, watching

Object = dict[str, Any]
HOURS = st.sampled_from([-3, -1, 0, 0.5, 1, 1.5, 2, 3, 24, 30, 48, 72, 24 * 7, 24 * 10, 24 * 30, 24 * 60])
"""Before, at and behind each of the times at which something in `states` ends."""
RIVAL_KEY = c.Key(namespace=c.NAMESPACE, name="churn-1-0-0")
KEYS = (c.KEY, c.BASELINE_KEY, RIVAL_KEY)
MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def at(hours: float) -> datetime:
    return c.NOW + timedelta(hours=hours)


def policy(*, asks: tuple[Object, ...] = (), max_age: str = "30d") -> Object:
    """Everything may be waived by security; the quality has to be `max_age` old at most."""
    item = drills.policy()
    item["spec"]["requirements"][-1:] = asks
    item["spec"]["requirements"][2]["measures"][0]["maxAge"] = max_age
    for requirement in item["spec"]["requirements"]:
        if requirement["type"] not in {"Approval", "RollbackDrill"}:
            requirement["waivableBy"] = ["security"]
    return item


def evaluated(hours: float, name: str = "evaluation") -> Object:
    statement = c.evaluation_statement(c.weights_digest(), "results.json", c.raw_results())
    bundle = c.bundles()[name] if hours == -1 else c.sign(statement, identity=c.EVALUATOR, when=at(hours))
    return c.evidence(name, bundle, {"results.json": c.raw_results()})


def root(*revoked: Object) -> Object:
    item = c.trust_root()
    item["spec"] |= {"revoked": list(revoked)} if revoked else {}
    return item


def signoff(name: str, world: c.World, hours: float | None, **fields: Any) -> Object:  # noqa: ANN401 - fields of the spec
    ends = {} if hours is None else {"expires": at(hours).isoformat().replace("+00:00", "Z")}
    return c.approval(name, world, **({"role": "owner", "username": "olga@example.com", "groups": ["payments-ml-leads"]} | fields | ends))


def waiver(name: str, world: c.World, hours: float, *waived: str, username: str = "sam@example.com") -> Object:
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    spec = {
        "release": {"name": c.NAME}, "releaseDigest": verdict.release_digest, "requirements": list(waived), "reason": "r", "riskOwner": "o", "ticket": "t-1",
        "expires": at(hours).isoformat().replace("+00:00", "Z"), "approver": {"username": username, "groups": ["appsec"]},
    }  # fmt: skip
    return c.item("ReleaseWaiver", name, spec)


def revocation(world: c.World, of: str) -> Object:
    key = c.BASELINE_KEY if of == "of-baseline" else c.KEY
    item = signoff("back", world, None, decision="Revoke", revokes=f"uid-ReleaseApproval-{c.NAMESPACE}-{of}", key=key)
    del item["spec"]["evidenceDigest"]
    return item


@cache
def states() -> dict[tuple[str, c.Key], list[Object | None]]:
    """What each object may be; None: it is not there. The first of each lets the release serve."""
    world = drills.drilled_world()
    drilled = [drills.evidence(replace(drills.said(world), finished_at=at(hours))) for hours in (-1, 2, -72)]
    canary = c.canary_requirement()
    waivers = (waiver("waiver", world, 2, "quality", "weights-signed"), waiver("waiver", world, 1, "quality", "canary", username="tina@example.com"))
    late = waiver("late", world, 24, "canary")
    found: list[list[Object | None]] = [
        [c.namespace(), c.namespace(**{"sluice.dev/stage": "test"})],
        [
            policy(), policy(asks=(canary,)), policy(asks=(drills.REQUIREMENT,), max_age="3h"),
            policy(asks=(drills.REQUIREMENT | {"maxAge": "1d", "every": "3d"},)), policy(asks=(canary, drills.REQUIREMENT | {"every": "2d"}), max_age="2h"),
            None,
        ],
        [root(), root({"type": "Identity", "identity": c.EVALUATOR, "issuer": c.ISSUER, "reason": "r", "since": "2026-11-20T11:30:00Z"}), None],
        [c.item("ModelRelease", c.NAME, c.release_spec()), c.item("ModelRelease", c.NAME, c.release_spec() | {"version": "2.1.1"}), None],
        [c.item("ModelRelease", c.BASELINE, c.first_release_spec()), c.item("ModelRelease", c.BASELINE, c.first_release_spec() | {"model": "fraud"}), None],
        [None, c.item("ModelRelease", RIVAL_KEY.name, c.first_release_spec("1.0.0"))],
        [c.evidence("signature", c.bundles()["signature"]), None],
        [evaluated(-1), evaluated(-0.25), None],
        [None, evaluated(-2, "older")],
        [drilled[0], drilled[1], drilled[2], None],
        [signoff("by-owner", world, None), signoff("by-owner", world, 2), signoff("by-owner", world, 1, decision="Reject"), None],
        [
            signoff("by-security", world, 30, role="security", username="sam@example.com", groups=[]),
            # A trainer: separation of duties.
            signoff("by-security", world, 1, role="security", username="tina@example.com", groups=["appsec"]),
            signoff("by-security", world, 3, role="security", username="eve@example.com", groups=[]),
        ],
        [None, signoff("other", world, 1.5, evidenceDigest=c.digest_of("former"))],
        [signoff("of-baseline", world, 3, key=c.BASELINE_KEY), None],
        [signoff("of-baseline-too", world, None, role="security", username="sam@example.com", groups=[], key=c.BASELINE_KEY), None],
        [None, *waivers],
        [None, late],
        [None, *(c.waiver_approval("of-waiver", asked, role="security", username="sven@example.com") for asked in waivers)],
        [None, c.waiver_approval("of-late", late, role="security", username="sven@example.com", expires=at(5).isoformat())],
        [None, revocation(world, "by-owner"), revocation(world, "of-waiver"), revocation(world, "of-baseline")],
        [c.item("ScoringSuite", "churn-core", c.suite_spec()), None],
        [c.run("run", decision="Promote"), c.run("run"), c.run("run", decision="RollBack"), None],
        [None, watching(), watching("m-1", finding("Withdraw"))],
    ]  # fmt: skip
    keyed: dict[tuple[str, c.Key], list[Object | None]] = {}
    for items in found:
        one = next(item for item in items if item is not None)
        keyed[one["kind"], c.Key.of(one)] = items
    return keyed


SLOTS = st.integers(0, 1000)
CHANGES = st.lists(st.tuples(SLOTS, SLOTS), max_size=5)


def change(world: c.World, slot: int, choice: int) -> None:
    (kind, key), items = list(states().items())[slot % len(states())]
    item = items[choice % len(items)]
    if item is None:
        world.remove(kind, key)
    else:
        world.put(kind, item)


@cache
def _shared() -> c.World:
    world = drills.drilled_world()
    for name in ("packaging", "server"):
        world.put("ReleaseEvidence", c.evidence(name, c.bundles()[name]))
    return world


def first_world() -> c.World:
    """The first of everything. One world for all examples, because what was verified is remembered."""
    world = _shared()
    for slot in range(len(states())):
        change(world, slot, 0)
    return world


def anew(world: c.World, key: c.Key, now: datetime) -> Verdict | None:
    release = world.releases.get(key)
    return decide(world.case(release), now=now) if isinstance(release, Release) else None


def test_the_first_of_everything_serves() -> None:
    verdict = first_world().verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    assert verdict.allows == "Serve", verdict.open


@MANY
@given(CHANGES, st.sampled_from(KEYS), HOURS, st.lists(HOURS, max_size=6))
def test_by_time_alone_a_verdict_changes_when_it_says_so_and_not_before(changes: list[tuple[int, int]], key: c.Key, hours: float, later: list[float]) -> None:
    world = first_world()
    for slot, choice in changes:
        change(world, slot, choice)
    verdict = anew(world, key, at(hours))
    for other in later:
        if verdict is not None and at(hours) <= at(other) and (verdict.changes_at is None or at(other) < verdict.changes_at):
            assert anew(world, key, at(other)) == verdict


@MANY
@given(st.lists(st.tuples(SLOTS, SLOTS) | st.tuples(st.sampled_from(KEYS), HOURS), max_size=16))
def test_whatever_was_asked_before_a_verdict_is_what_it_would_be_for_the_first_time(steps: list[Any]) -> None:
    world = first_world()
    for first, second in steps:
        if isinstance(first, int):
            change(world, first, second)
        else:
            assert world.verdict(first, now=at(second)) == anew(world, first, at(second))
