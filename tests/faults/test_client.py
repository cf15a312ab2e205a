"""The client against slow, huge, wrong and hostile answers, and its guard."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

import sluice.cluster.client
from sluice.cluster.client import ApiClient
from sluice.cluster.errors import ApiError, Conflict, DoesNotFit, Forbidden, Gone, Invalid, Malformed, NotFound, TooLarge, Unavailable, WebhookSilent
from sluice.cluster.events import EventRecorder
from sluice.cluster.lease import LeaseLost
from sluice.cluster.resource import PODS, RELEASES
from tests.faults.scripted import ScriptedServer, answer, page, pod, refusal, text

POD = PODS.path("a", "a")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid), (401, Forbidden), (403, Forbidden), (404, NotFound), (409, Conflict), (410, Gone), (422, Invalid),
        (429, Unavailable), (500, Unavailable), (503, Unavailable), (504, Unavailable), (418, ApiError),
    ],
)  # fmt: skip
async def test_every_refusal_is_of_the_kind_its_status_says(server: ScriptedServer, client: ApiClient, status: int, kind: type[ApiError]) -> None:
    server.others = [refusal(status, "SomeReason", "what is wrong")]
    with pytest.raises(ApiError) as caught:
        await client.get(POD)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.reason, caught.value.message) == (status, "SomeReason", "what is wrong")


async def test_a_webhook_that_does_not_answer_is_told_from_a_server_that_does_not(server: ScriptedServer, client: ApiClient) -> None:
    said = 'Internal error occurred: failed calling webhook "mjob.kb.io": failed to call webhook: service "kueue-webhook-service" not found'
    server.others = [refusal(500, "InternalError", said)]
    with pytest.raises(WebhookSilent, match=r"mjob\.kb\.io"):
        await client.get(POD)


@pytest.mark.parametrize("content", ["<html>Bad Gateway</html>", "[" * 100_000, "[]", '"text"', ""])
async def test_a_refusal_that_is_no_status_is_still_one(server: ScriptedServer, client: ApiClient, content: str) -> None:
    server.others = [text(content, 502)]
    with pytest.raises(Unavailable) as caught:
        await client.get(POD)
    assert caught.value.status == 502


@pytest.mark.parametrize("content", ["<html>", "[" * 100_000, "[]", "", "\x00"])
async def test_an_answer_that_is_no_object_is_an_error_not_a_value(server: ScriptedServer, client: ApiClient, content: str) -> None:
    server.others = [text(content)]
    with pytest.raises(Malformed):
        await client.get(POD)


@pytest.mark.parametrize("content", [{}, {"items": []}, {"metadata": {"resourceVersion": ""}, "items": []}, {"metadata": {"resourceVersion": "1"}}])
async def test_an_answer_that_is_no_list_is_not_an_empty_list(server: ScriptedServer, client: ApiClient, content: Any) -> None:  # noqa: ANN401
    server.lists = [answer(content)]
    with pytest.raises(Malformed):
        await client.list(PODS)


async def test_a_slow_answer_ends_in_time_as_unavailable(server: ScriptedServer, client: ApiClient) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    server.others = [never]
    async with asyncio.timeout(3):
        with pytest.raises(Unavailable, match="within 1 s"):
            await client.get(POD)


async def test_an_answer_that_trickles_ends_in_time_as_unavailable(server: ScriptedServer, client: ApiClient) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)

    server.others = [trickle]
    async with asyncio.timeout(3):
        with pytest.raises(Unavailable, match="within 1 s"):
            await client.get(POD)


async def test_an_answer_beyond_the_limit_is_not_read(server: ScriptedServer, client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sluice.cluster.client, "MAX_RESPONSE_BYTES", 1000)
    server.others = [answer({"text": "x" * 2000})]
    with pytest.raises(TooLarge):
        await client.get(POD)


async def test_a_list_beyond_the_limit_is_refused(server: ScriptedServer, client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sluice.cluster.client, "MAX_ITEMS", 3)
    server.lists = [page(1, pod("a", 1), pod("b", 1), more="for ever")]
    with pytest.raises(TooLarge):
        await client.list(PODS)


async def test_no_server_means_unavailable(server: ScriptedServer, client: ApiClient) -> None:
    await server.stop()
    with pytest.raises(Unavailable):
        await client.get(POD)


async def test_credentials_do_not_follow_a_redirect(server: ScriptedServer, client: ApiClient) -> None:
    server.others = [text("", 302, Location="/elsewhere"), answer({})]
    with pytest.raises(ApiError):
        await client.get(POD)
    assert [request.path for request in server.requests] == [POD]


async def test_a_list_reads_all_pages(server: ScriptedServer, client: ApiClient) -> None:
    server.lists = [page(7, pod("a", 1), more="next"), page(7, pod("b", 2))]
    assert [obj["metadata"]["name"] for obj in await client.list(PODS, "a", label_selector="x=y")] == ["a", "b"]
    assert [request.query.get("labelSelector") for request in server.requests] == ["x=y", "x=y"]


async def _all_writes(client: ApiClient) -> None:
    await client.create(PODS, {}, "a")
    await client.apply(POD, {}, subresource="status")
    await client.patch_json(POD, [])
    await client.replace(POD, {})
    await client.delete(POD, uid="u")
    await client.evict(POD, uid="u")


async def test_writes_are_what_kubernetes_expects(server: ScriptedServer, client: ApiClient) -> None:
    server.others = [answer({})]
    await _all_writes(client)
    seen = [(request.method, request.path, request.content_type) for request in server.requests]
    assert seen == [
        ("POST", "/api/v1/namespaces/a/pods", "application/json"),
        ("PATCH", "/api/v1/namespaces/a/pods/a/status", "application/apply-patch+yaml"),
        ("PATCH", "/api/v1/namespaces/a/pods/a", "application/json-patch+json"),
        ("PUT", "/api/v1/namespaces/a/pods/a", "application/json"),
        ("DELETE", "/api/v1/namespaces/a/pods/a", "application/json"),
        ("POST", "/api/v1/namespaces/a/pods/a/eviction", "application/json"),
    ]
    assert dict(server.requests[1].query) == {"fieldManager": "sluice", "force": "true", "timeout": "1s"}
    assert (server.bodies[4]["preconditions"], server.bodies[4]["propagationPolicy"]) == ({"uid": "u"}, "Background")
    assert server.bodies[5]["metadata"] == {"namespace": "a", "name": "a"}
    assert server.bodies[5]["deleteOptions"]["preconditions"] == {"uid": "u"}


async def test_each_write_asks_the_guard_for_its_whole_timeout_and_reads_do_not(server: ScriptedServer) -> None:
    asked: list[float] = []
    server.others = [answer({})]
    server.lists = [page(1)]
    async with ApiClient(server.connection(), guard=asked.append, timeout_seconds=2.5) as client:
        await client.get(POD)
        await client.list(PODS)
        assert asked == []
        await _all_writes(client)
    assert asked == [2.5] * 6
    assert {request.query["timeout"] for request in server.requests[2:]} == {"2.5s"}


async def test_nothing_is_sent_when_the_guard_refuses(server: ScriptedServer) -> None:
    def refuse(_: float) -> None:
        raise LeaseLost("not ours")

    async with ApiClient(server.connection(), guard=refuse) as client:
        writes = (
            client.create(RELEASES, {}, "a"), client.apply(POD, {}), client.patch_json(POD, []), client.replace(POD, {}), client.delete(POD),
            client.evict(POD, uid="u"),
        )  # fmt: skip
        for write in writes:
            with pytest.raises(LeaseLost):
                await write
    assert server.requests == []


async def test_a_patch_that_does_not_fit_is_a_conflict_and_one_that_makes_the_object_invalid_is_not(server: ScriptedServer, client: ApiClient) -> None:
    # The first as Kubernetes 1.36 says it (tests/cluster tries the real one); the others as validation and webhooks do.
    message = "the server rejected our request due to an error in our request"
    causes = {"causes": [{"reason": "FieldValueInvalid", "field": "spec", "message": "wrong"}]}
    server.others = [
        refusal(422, "Invalid", message, details={}),
        refusal(422, "Invalid", message, details=causes),
        refusal(422, "Invalid", "spec: wrong", details={}),
    ]
    with pytest.raises(DoesNotFit):
        await client.patch_json(POD, [])
    for _ in range(2):
        with pytest.raises(Invalid):
            await client.patch_json(POD, [])


async def test_an_event_that_cannot_be_written_stops_nothing(server: ScriptedServer, client: ApiClient) -> None:
    server.others = [refusal(403, "Forbidden", "no")]
    recorder = EventRecorder(client, controller="sluice.dev/controller", instance="pod-1")
    await recorder.record({**pod("a", 1), "apiVersion": "v1", "kind": "Pod"}, type_="Normal", reason="Held", action="Hold", note="ä" * 2000)
    [sent] = server.bodies
    assert len(sent["note"].encode()) <= 1024
    assert sent["regarding"] == {"apiVersion": "v1", "kind": "Pod", "namespace": "a", "name": "a", "uid": "uid-a", "resourceVersion": "1"}
