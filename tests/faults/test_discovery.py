"""A release whose evidence lies in its registry: found, fetched, kept as objects, and decided on like any other, while the registry does what it wants."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from copy import deepcopy
from typing import Any, cast

import pytest
from aiohttp import web

from sluice.cluster.feed import WorldFeed
from sluice.cluster.fetching import Registries
from sluice.cluster.outbound import ListedRegistry, Outbound
from sluice.cluster.resource import EVIDENCE, RELEASES, SECRETS
from sluice.controller.conditions import Moment
from sluice.controller.discovery import MOST_FOUND, PAUSES_SECONDS, Discovery, content_name
from sluice.controller.object_status import evidence_status
from sluice.controller.work import Item
from sluice.decision.discovery_reasons import DISCOVERY_MEANING, DiscoveryReason
from sluice.decision.model import Release
from tests.faults.artifact_registry import ArtifactRegistry, serving
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case
from tests.unit.test_reference import ROOT

pytestmark = pytest.mark.usefixtures("socket_enabled")
Object = dict[str, Any]
RELEASE = Item(RELEASES.kind, case.KEY)


class Bench:
    """A release without evidence in a namespace of an API server in memory; its weights and its server are in one registry."""

    def __init__(self, there: ArtifactRegistry) -> None:
        self.there, self.client, self.world = there, MemoryClient(), case.verified_world()
        for name in case.bundles():
            self.world.remove(EVIDENCE.kind, case.Key(case.NAMESPACE, name))
        spec = json.loads(json.dumps(case.release_spec()).replace("registry.example.com", there.address))
        self.put(RELEASES.kind, case.item(RELEASES.kind, case.NAME, spec))
        self.seconds, self.queued = 0.0, list[Item]()
        self.registries = Registries(Outbound([ListedRegistry.parse(f"http://{there.address}")]))
        self.discovery = self.made()

    def made(self) -> Discovery:
        return Discovery(
            client=self.client, feed=cast("WorldFeed", self), registries=self.registries, pull_secrets=["pull"], look_at=self.queued.extend,
            clock=lambda: self.seconds,
        )  # fmt: skip

    def put(self, kind: str, obj: Object) -> None:
        """Store an object, as the API server does, and let the watch bring it."""
        resource = RELEASES if kind == RELEASES.kind else EVIDENCE
        self.client.put(resource, obj | {"metadata": {"resourceVersion": "1"} | obj["metadata"]})
        self.world.put(kind, obj)

    def store(self, kind: str) -> Mapping[case.Key, Object]:
        plural = "/modelreleases/" if kind == RELEASES.kind else "/releaseevidences/"
        return {case.Key.of(obj): deepcopy(obj) for path, obj in self.client.objects.items() if plural in path}

    @property
    def evidence(self) -> dict[str, Object]:
        return {key.name: obj for key, obj in self.store(EVIDENCE.kind).items()}

    async def settle(self) -> None:
        """Look at everything, as the queues do, until nothing new comes."""
        known: set[str] = set()
        await self.discovery.settle(RELEASE)
        while set(self.evidence) - known:
            known = set(self.evidence)
            for name, obj in self.evidence.items():
                self.world.put(EVIDENCE.kind, obj)
                await self.discovery.settle(Item(EVIDENCE.kind, case.Key(case.NAMESPACE, name)))
        for obj in self.evidence.values():
            self.world.put(EVIDENCE.kind, obj)

    def said(self, previous: Object | None = None) -> tuple[str, str, str] | None:
        release = self.world.releases[case.KEY]
        assert isinstance(release, Release)
        condition = self.discovery.condition(case.KEY, release, Moment(previous=previous or {}, generation=1, now=case.NOW))
        return None if condition is None else (condition.status, condition.reason, condition.message)

    def outcomes(self) -> dict[str, str]:
        verdict = self.world.verdict(case.KEY, now=case.NOW)
        assert verdict is not None
        return {result.requirement: str(result.outcome) for result in verdict.results}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with serving() as there:
        made = Bench(there)
        async with made.registries:
            yield made


def named(bench: Bench, name: str, manifest: str, **more: Any) -> Item:  # noqa: ANN401 - fields of the spec
    """Evidence that names its bundle by reference."""
    bench.put(EVIDENCE.kind, case.item(EVIDENCE.kind, name, {"bundle": {"oci": f"{bench.there.address}/churn@{manifest}"}} | more))
    return Item(EVIDENCE.kind, case.Key(case.NAMESPACE, name))


async def test_what_refers_to_the_artifacts_of_a_release_becomes_its_evidence_and_decides(bench: Bench) -> None:
    bundles = case.bundles()
    for subject, name in ((case.CARRIER, "signature"), (case.CARRIER, "packaging"), (case.SERVER, "server")):
        bench.there.add(subject, bundles[name])
    assert bench.outcomes()["weights-signed"] == "Missing"
    await bench.settle()
    assert (bench.outcomes()["weights-signed"], bench.outcomes()["built-here"]) == ("Satisfied", "Satisfied")
    host = bench.there.address
    assert bench.said() == ("True", "EvidenceFound", f"found bundles: 2 for weights at {host}/churn, 1 for server at {host}/server")
    assert bench.queued == [RELEASE], "its status has something new to say"
    assert sorted(bench.discovery.reasons()) == ["EvidenceFound", "Fetched", "Fetched", "Fetched"]
    # Two objects for each bundle: what names it belongs to the release, what holds it to that one.
    release = bench.store(RELEASES.kind)[case.KEY]
    referring = {name: obj for name, obj in bench.evidence.items() if "oci" in obj["spec"]["bundle"]}
    assert len(referring) == 3
    assert {owner["uid"] for obj in referring.values() for owner in obj["metadata"]["ownerReferences"]} == {release["metadata"]["uid"]}
    for obj in referring.values():
        held = bench.evidence[obj["status"]["storedAs"]["name"]]
        assert base64.b64decode(held["spec"]["bundle"]["inline"]) in bundles.values()
        assert held["metadata"]["ownerReferences"][0]["uid"] == obj["metadata"]["uid"]
        assert held["metadata"]["labels"] == {"sluice.dev/found-for": case.NAME}


async def test_a_second_look_by_another_process_makes_and_fetches_nothing(bench: Bench) -> None:
    bench.there.add(case.CARRIER, case.bundles()["signature"])
    await bench.settle()
    before, asked = bench.evidence, len(bench.there.seen)
    bench.discovery, bench.client.writes[:] = bench.made(), []
    await bench.settle()
    assert (bench.evidence, bench.client.writes) == (before, [])
    assert not [path for path, _ in bench.there.seen[asked:] if "/blobs/" in path]


async def test_looks_come_again_with_growing_pauses_and_at_once_for_another_release_of_the_name(bench: Bench) -> None:
    pauses = []
    for _ in range(12):
        pause = await bench.discovery.settle(RELEASE)
        assert pause is not None
        pauses.append(pause)
        asked = len(bench.there.seen)
        assert await bench.discovery.settle(RELEASE) == pause
        assert len(bench.there.seen) == asked, "it was asked before it was due"
        bench.seconds += pause
    first, longest = PAUSES_SECONDS
    assert pauses == [min(first * 2**n, longest) for n in range(12)]
    await bench.discovery.settle(RELEASE)
    asked = len(bench.there.seen)
    bench.client.objects[RELEASES.path(*case.KEY)]["metadata"]["uid"] = "another"
    await bench.discovery.settle(RELEASE)
    assert len(bench.there.seen) > asked


async def test_evidence_that_comes_later_is_found_and_told(bench: Bench) -> None:
    await bench.settle()
    assert bench.said() is not None
    assert (bench.said() or ("", "", ""))[:2] == ("False", "NothingFound")
    bench.there.add(case.SERVER, case.bundles()["server"])
    bench.seconds += PAUSES_SECONDS[0]
    await bench.settle()
    assert bench.outcomes()["built-here"] == "Satisfied"
    assert bench.queued == [RELEASE, RELEASE]


async def test_what_was_said_before_a_restart_stands_until_the_next_look(bench: Bench) -> None:
    before = {"type": "Discovered", "status": "True", "reason": "EvidenceFound", "message": "found bundles: 2", "lastTransitionTime": "2026-11-20T11:00:00Z"}
    assert bench.said() is None
    assert bench.said({"conditions": [before]}) == ("True", "EvidenceFound", "found bundles: 2")
    await bench.settle()
    assert bench.said({"conditions": [before]})[:2] == ("False", "NothingFound")  # type: ignore[index]


async def test_a_release_whose_registry_nobody_listed_is_not_looked_for(bench: Bench) -> None:
    bench.put(RELEASES.kind, case.item(RELEASES.kind, case.NAME, case.release_spec()))
    assert await bench.discovery.settle(RELEASE) is None
    assert (bench.said(), bench.there.seen) == (None, [])


async def test_one_artifact_that_cannot_be_looked_at_keeps_no_other_from_it(bench: Bench) -> None:
    bench.there.add(case.SERVER, case.bundles()["server"])
    bench.there.twist = lambda request: web.Response(status=503) if "/churn/" in request.path else None
    await bench.settle()
    status, reason, message = bench.said() or ("", "", "")
    assert (status, reason) == ("True", "RegistryRefused")
    assert "weights: " in message
    assert "answers 503" in message
    assert bench.outcomes()["built-here"] == "Satisfied"


async def test_a_crowd_is_cut_and_told(bench: Bench) -> None:
    for number in range(70):
        bench.there.add(case.CARRIER, b"{}" + b" " * number)
        bench.there.add(case.SERVER, b"{}" + b" " * (100 + number))
    await bench.discovery.settle(RELEASE)
    assert len(bench.evidence) <= MOST_FOUND
    assert (bench.said() or ("", "", ""))[1] == "TooMany"


async def test_the_account_of_the_namespace_is_used_and_only_for_the_registry_that_it_names(bench: Bench) -> None:
    bench.there.account = "robot:secret"
    manifest = bench.there.add(case.CARRIER, case.bundles()["signature"])
    item = named(bench, "by-reference", manifest)
    await bench.discovery.settle(item)
    assert bench.evidence["by-reference"]["status"]["conditions"][0]["reason"] == "NotAuthorized"
    auth = base64.b64encode(b"robot:secret").decode()
    for host, reason in (("registry.example.com", "NotAuthorized"), (bench.there.address, "Fetched")):
        configuration = base64.b64encode(json.dumps({"auths": {f"https://{host}/v1/": {"auth": auth}}}).encode()).decode()
        meta = {"namespace": case.NAMESPACE, "name": "pull"}
        bench.client.put(SECRETS, {"metadata": meta, "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": configuration}})
        bench.seconds += 60
        await bench.discovery.settle(item)
        assert bench.evidence["by-reference"]["status"]["conditions"][0]["reason"] == reason


async def test_files_that_go_with_evidence_go_with_its_bytes(bench: Bench) -> None:
    attachments = [{"name": "results.json", "inline": base64.b64encode(case.raw_results()).decode()}]
    named(bench, "evaluation", bench.there.add(case.CARRIER, case.bundles()["evaluation"]), attachments=attachments)
    await bench.settle()
    assert bench.outcomes()["quality"] == "Satisfied"


async def test_evidence_by_reference_proves_nothing_itself_and_has_its_status_from_who_fetches_it(bench: Bench) -> None:
    item = named(bench, "by-reference", bench.there.add(case.CARRIER, case.bundles()["signature"]))
    evidence = bench.world.evidence[item.key]
    assert (evidence.facts, evidence.speaks_of) == ((), frozenset())
    assert evidence_status(bench.world, item.key, Moment(previous={}, generation=1, now=case.NOW)) is None


@pytest.mark.parametrize("where", ["registry.example.com/churn", "127.0.0.1:1/churn"])
async def test_evidence_from_a_registry_that_nobody_listed_is_not_fetched_and_no_secret_is_read(bench: Bench, where: str) -> None:
    bench.put(EVIDENCE.kind, case.item(EVIDENCE.kind, "aimed", {"bundle": {"oci": f"{where}@{case.CARRIER}"}}))
    again = await bench.discovery.settle(Item(EVIDENCE.kind, case.Key(case.NAMESPACE, "aimed")))
    assert again == PAUSES_SECONDS[0]
    (condition,) = bench.evidence["aimed"]["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Fetched", "False", "RegistryNotListed")
    assert bench.there.seen == []


async def test_a_name_that_somebody_else_has_is_told_and_left_alone(bench: Bench) -> None:
    item = named(bench, "by-reference", bench.there.add(case.CARRIER, case.bundles()["signature"]))
    name = content_name(bench.evidence["by-reference"])
    bench.put(EVIDENCE.kind, case.evidence(name, b"{}"))
    await bench.discovery.settle(item)
    (condition,) = bench.evidence["by-reference"]["status"]["conditions"]
    assert (condition["reason"], "delete it" in condition["message"]) == ("NameTaken", True)
    assert base64.b64decode(bench.evidence[name]["spec"]["bundle"]["inline"]) == b"{}"


async def test_bytes_that_somebody_deleted_are_fetched_again(bench: Bench) -> None:
    item = named(bench, "by-reference", bench.there.add(case.CARRIER, case.bundles()["signature"]))
    assert await bench.discovery.settle(item) is None
    name = bench.evidence["by-reference"]["status"]["storedAs"]["name"]
    del bench.client.objects[EVIDENCE.path(case.NAMESPACE, name)]
    bench.seconds += 60
    await bench.discovery.settle(item)
    assert name in bench.evidence


async def test_what_is_gone_is_forgotten(bench: Bench) -> None:
    item = named(bench, "by-reference", case.CARRIER)
    assert await bench.discovery.settle(item) is not None
    del bench.client.objects[EVIDENCE.path(*item.key)]
    assert await bench.discovery.settle(item) is None
    del bench.client.objects[RELEASES.path(*case.KEY)]
    assert await bench.discovery.settle(RELEASE) is None


def test_every_code_is_explained_on_the_page_about_discovery() -> None:
    page = (ROOT / "docs" / "evidence-discovery.md").read_text()
    missing = [reason for reason in DiscoveryReason if f"| `{reason}` | {DISCOVERY_MEANING[reason]} |" not in page]
    assert missing == []
