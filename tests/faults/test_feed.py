"""A world that is fed from lists and watches: when it may be relied on, and whom a change touches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from sluice.cluster.client import ApiClient
from sluice.cluster.feed import WorldFeed
from sluice.decision.records import Key
from sluice.decision.world import World
from sluice.evidence.fact_cache import Check, Outcome
from tests.faults.scripted import ScriptedServer, event, refusal, stream
from tests.unit.decision import case

PATHS = {
    "Namespace": "namespaces",
    "ModelRelease": "modelreleases",
    "ReleaseEvidence": "releaseevidences",
    "ReleaseApproval": "releaseapprovals",
    "ReleaseWaiver": "releasewaivers",
    "ReleasePolicy": "releasepolicies",
    "TrustRoot": "trustroots",
    "ScoringSuite": "scoringsuites",
    "CanaryRun": "canaryruns",
    "ReleaseMonitor": "releasemonitors",
    "ReleaseDrill": "releasedrills",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "NetworkPolicy": "networkpolicies",
}


def objects() -> list[dict[str, Any]]:
    """What `case.verified_world` is made of, as the API server lists it."""
    found = [
        case.namespace(),
        case.trust_root(),
        case.item("ReleasePolicy", "customer-facing", case.policy_spec(), namespace=""),
        case.item("ModelRelease", case.NAME, case.release_spec()),
    ]
    for name, bundle in case.bundles().items():
        found.append(case.evidence(name, bundle, {"results.json": case.raw_results()} if name == "evaluation" else None))
    for number, obj in enumerate(found):
        obj["metadata"] |= {"resourceVersion": str(number + 1), "uid": f"uid-{number}"}
    return found


def by_kind(listed: list[dict[str, Any]], **instead: Any) -> Any:  # noqa: ANN401 - a step
    """Answer each list with the objects of its kind, or with another step."""

    async def step(request: web.Request) -> web.StreamResponse:
        kind = next(kind for kind, plural in PATHS.items() if request.path.endswith(f"/{plural}"))
        if kind in instead:
            response: web.StreamResponse = await instead[kind](request)
            return response
        return web.json_response({"metadata": {"resourceVersion": "100"}, "items": [obj for obj in listed if obj["kind"] == kind]})

    return step


@asynccontextmanager
async def fed(client: ApiClient, touched: list[frozenset[Any]] | None = None) -> AsyncIterator[WorldFeed]:
    feed = WorldFeed(client, on_touched=None if touched is None else touched.append)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def synced(feed: WorldFeed) -> None:
    async with asyncio.timeout(5):
        await feed.wait_synced()


async def test_the_world_that_is_fed_decides_like_the_world_that_is_given(server: ScriptedServer, client: ApiClient) -> None:
    server.lists = [by_kind(objects())]
    async with fed(client) as feed:
        await synced(feed)
        assert feed.world.verdict(case.KEY, now=case.NOW) == case.verified_world().verdict(case.KEY, now=case.NOW)
        assert feed.synced
        assert feed.age_seconds() < 5
        assert feed.blind(max_age_seconds=5) == ""


async def test_until_every_kind_is_listed_it_is_blind_and_says_which_is_missing(server: ScriptedServer, client: ApiClient) -> None:
    server.lists = [by_kind(objects(), ReleasePolicy=refusal(403, "Forbidden", "no rights"))]
    async with fed(client) as feed:
        async with asyncio.timeout(5):
            await asyncio.gather(*(reflector.wait_synced() for kind, reflector in feed._reflectors.items() if kind != "ReleasePolicy"))
        assert not feed.synced
        assert feed.age_seconds() == float("inf")
        assert feed.blind(max_age_seconds=5) == "it has not listed ReleasePolicy yet"


async def test_knowledge_that_is_too_old_is_not_relied_on(server: ScriptedServer, client: ApiClient) -> None:
    server.lists = [by_kind(objects())]
    async with fed(client) as feed:
        await synced(feed)
        assert "last heard from the API server" in feed.blind(max_age_seconds=0)


async def test_a_change_that_cannot_be_taken_in_makes_it_blind_until_it_is_mended(
    server: ScriptedServer, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.lists = [by_kind(objects())]
    put, defect = World.put, {"ReleasePolicy"}

    def fragile(world: World, kind: str, item: Any) -> Any:  # noqa: ANN401 - as in World
        if kind in defect:
            raise RuntimeError("a defect")
        return put(world, kind, item)

    monkeypatch.setattr(World, "put", fragile)
    async with fed(client) as feed:
        await synced(feed)
        assert not feed.synced
        assert feed.blind(max_age_seconds=60) == "it could not take in ReleasePolicy customer-facing (RuntimeError)"
        # A later state of the same object, equal or not, mends it; so does its deletion.
        defect.clear()
        policy = feed.store("ReleasePolicy").get(Key("", "customer-facing"))
        feed._changed("ReleasePolicy", Key("", "customer-facing"), policy, policy)
        assert feed.blind(max_age_seconds=60) == ""


async def test_a_deletion_touches_the_release_and_our_own_status_write_before_it_does_not(server: ScriptedServer, client: ApiClient) -> None:
    listed = objects()
    evidence = next(obj for obj in listed if obj["metadata"]["name"] == "signature")
    stamped = evidence | {"metadata": evidence["metadata"] | {"resourceVersion": "101"}, "status": {"conditions": []}}
    server.lists = [by_kind(listed)]
    listening, told = asyncio.Event(), asyncio.Event()

    async def watch(request: web.Request) -> web.StreamResponse:
        await listening.wait()
        lines = [event("MODIFIED", stamped), event("DELETED", stamped)] if request.path.endswith("releaseevidences") else []
        response: web.StreamResponse = await stream(*lines)(request)
        return response

    server.watches = [watch]
    touched: list[frozenset[Any]] = []
    async with fed(client, touched) as feed:
        await synced(feed)
        touched.clear()

        def note(keys: frozenset[Any]) -> None:
            touched.append(keys)
            told.set()

        feed._on_touched = note
        listening.set()
        async with asyncio.timeout(5):
            await told.wait()
        assert touched == [frozenset({case.KEY})]
        assert case.Key(case.NAMESPACE, "signature") not in feed.world.evidence


async def test_a_status_write_does_not_verify_again(server: ScriptedServer, client: ApiClient) -> None:
    server.lists = [by_kind(objects())]
    touched: list[frozenset[Any]] = []
    async with fed(client, touched) as feed:
        await synced(feed)
        key = case.Key(case.NAMESPACE, "signature")
        kept, reported = feed.world.evidence[key], len(touched)
        old = feed.store("ReleaseEvidence").get(key)
        assert old is not None
        feed._changed("ReleaseEvidence", key, old, old | {"status": {"conditions": []}})
        assert feed.world.evidence[key] is kept
        assert len(touched) == reported


async def test_the_decision_of_a_run_touches_its_release_and_its_progress_does_not(server: ScriptedServer, client: ApiClient) -> None:
    run = case.run("churn-2-1-0-1")
    run["metadata"] |= {"resourceVersion": "50", "uid": "uid-run"}
    server.lists = [by_kind([*objects(), run])]
    touched: list[frozenset[Any]] = []
    async with fed(client, touched) as feed:
        await synced(feed)
        touched.clear()
        key = case.Key(case.NAMESPACE, "churn-2-1-0-1")
        scoring = run | {"status": {"decision": "Pending", "phase": "Scoring", "units": 412}}
        feed._changed("CanaryRun", key, run | {"status": {"decision": "Pending", "phase": "Scoring", "units": 400}}, scoring)
        assert touched == []
        feed._changed("CanaryRun", key, scoring, scoring | {"status": {"decision": "RollBack", "phase": "Decided", "units": 412}})
        assert touched == [frozenset({case.KEY})]


async def test_while_bundles_are_verified_the_event_loop_goes_on_and_nothing_is_decided(
    server: ScriptedServer, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, verify = threading.Event(), Check.verify

    def slow(check: Check) -> Outcome:
        assert let_go.wait(5)
        return verify(check)

    monkeypatch.setattr(Check, "verify", slow)
    server.lists = [by_kind(objects())]
    async with fed(client) as feed:
        async with asyncio.timeout(5):
            await asyncio.gather(*(reflector.wait_synced() for reflector in feed._reflectors.values()))
        assert feed.blind(max_age_seconds=60) == "it still has to verify 4 bundles"
        assert not feed.synced
        let_go.set()
        await synced(feed)
        assert (feed.blind(max_age_seconds=60), dict(feed.world.wanted)) == ("", {})


async def test_who_waits_for_a_bundle_hears_of_it_and_nobody_else_waits(server: ScriptedServer, client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after the beginning keeps nobody but its release from being decided."""
    touched, changed = list[frozenset[Any]](), list[tuple[str, Key]]()
    verified = asyncio.Event()

    def hear(kind: str, key: Key) -> None:
        changed.append((kind, key))
        if not feed.world.wanted:
            verified.set()

    feed = WorldFeed(client, on_touched=touched.append, on_object=hear)
    server.lists = [by_kind(objects())]
    running = asyncio.create_task(feed.run())
    try:
        await synced(feed)
        let_go, verify = threading.Event(), Check.verify
        monkeypatch.setattr(Check, "verify", lambda check: verify(check) if let_go.wait(5) else pytest.fail("nobody let it go"))
        touched.clear()
        changed.clear()
        verified.clear()
        further = case.evidence("more", case.sign(case.model_signature_statement({"f": b""})))
        feed._changed("ReleaseEvidence", Key(case.NAMESPACE, "more"), None, further)
        assert (feed.blind(max_age_seconds=60), len(feed.world.wanted)) == ("", 1)
        let_go.set()
        async with asyncio.timeout(5):
            await verified.wait()
        assert changed == [("ReleaseEvidence", Key(case.NAMESPACE, "more"))] * 2, "when it came, and when it was verified"
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
