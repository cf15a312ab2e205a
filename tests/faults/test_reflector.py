"""The reflector against everything that can go wrong on the wire."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import sluice.cluster.client
from sluice.cluster.client import ApiClient
from sluice.cluster.reflector import Reflector
from sluice.cluster.resource import PODS
from sluice.cluster.store import NotSynced, Object
from sluice.decision.records import Key
from tests.faults.scripted import ScriptedServer, after, bookmark, event, forever, page, pod, refusal, stream, text, until

A, B, C = Key("a", "a"), Key("a", "b"), Key("a", "c")


class Watched:
    """A reflector that runs, and the changes it reported."""

    def __init__(self, client: ApiClient, **options: Any) -> None:  # noqa: ANN401 - passed on
        self.changes: list[tuple[Key, str]] = []
        options.setdefault("on_change", self.note)
        options.setdefault("backoff_seconds", (0.01, 0.05))
        self.reflector = Reflector(client, PODS, **options)
        self.store = self.reflector.store
        self.task = asyncio.ensure_future(self.reflector.run())

    def note(self, kind: str, key: Key, old: Object | None, new: Object | None) -> None:
        assert kind == "Pod"
        self.changes.append((key, "new" if old is None else "gone" if new is None else "changed"))

    def names(self) -> set[str]:
        return {key.name for key, _ in self.store.items()}

    async def synced(self) -> "Watched":
        async with asyncio.timeout(5):
            await self.reflector.wait_synced()
        return self

    async def stop(self) -> None:
        assert not self.task.done(), "the reflector died"
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
async def watch(client: ApiClient) -> Any:  # noqa: ANN401 - a factory
    started: list[Watched] = []

    def start(**options: Any) -> Watched:  # noqa: ANN401 - passed on
        started.append(Watched(client, **options))
        return started[-1]

    yield start
    for one in started:
        await one.stop()


Start = Callable[..., Watched]


async def test_nothing_is_known_before_the_first_list_is_whole(server: ScriptedServer, watch: Start) -> None:
    gate = asyncio.Event()
    server.lists = [page(7, pod("a", 1), more="next"), after(gate, page(7, pod("b", 2)))]
    watched = watch()
    await until(lambda: server.asked(**{"continue": "next"}))
    assert not watched.reflector.synced
    assert watched.reflector.age_seconds() == float("inf")
    for ask in (lambda: watched.store.get(A), watched.store.items, lambda: len(watched.store)):
        with pytest.raises(NotSynced):
            ask()
    assert watched.changes == []
    gate.set()
    await watched.synced()
    assert watched.names() == {"a", "b"}
    assert watched.changes == [(A, "new"), (B, "new")]


async def test_a_new_list_replaces_the_old_one_only_when_it_is_whole(server: ScriptedServer, watch: Start) -> None:
    gate = asyncio.Event()
    server.lists = [page(7, pod("a", 1), pod("b", 2)), page(9, pod("c", 8), more="next"), after(gate, page(9))]
    server.watches = [refusal(410, "Expired"), forever()]
    watched = watch()
    await until(lambda: server.asked(**{"continue": "next"}))
    assert watched.names() == {"a", "b"}
    gate.set()
    await until(lambda: watched.names() == {"c"})


@pytest.mark.parametrize("fault", [refusal(410, "Expired"), refusal(500), text("<html>", 502), text('{"items": [')])
async def test_a_list_that_breaks_off_is_begun_again_and_never_shown(server: ScriptedServer, watch: Start, fault: Any) -> None:  # noqa: ANN401
    server.lists = [page(7, pod("a", 1), more="next"), fault, page(8, pod("b", 2))]
    watched = await watch().synced()
    assert watched.names() == {"b"}
    assert watched.changes == [(B, "new")]


@pytest.mark.parametrize(
    "too_old",
    [refusal(410, "Expired"), stream(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}), ends="cleanly")],
)
async def test_what_was_deleted_in_a_gap_vanishes_and_is_reported(server: ScriptedServer, watch: Start, too_old: Any) -> None:  # noqa: ANN401
    server.lists = [page(7, pod("a", 1), pod("b", 2), pod("c", 3)), page(20, pod("a", 1), pod("b", 15))]
    server.watches = [too_old, forever()]
    watched = watch()
    await until(lambda: len(watched.changes) > 3)
    assert watched.names() == {"a", "b"}
    assert watched.changes[3:] == [(C, "gone"), (B, "changed")]
    await until(lambda: server.asked(watch="true", resourceVersion="20"))


async def test_a_cut_watch_resumes_after_the_last_whole_event(server: ScriptedServer, watch: Start) -> None:
    server.lists = [page(7, pod("a", 1))]
    half = event("MODIFIED", pod("b", 9))[:40]
    server.watches = [
        stream(event("ADDED", pod("b", 8)), half, ends="cut"),
        stream(event("MODIFIED", pod("b", 9)), event("DELETED", pod("a", 10))),
    ]
    watched = watch()
    await until(lambda: len(watched.changes) == 4)
    assert watched.changes == [(A, "new"), (B, "new"), (B, "changed"), (A, "gone")]
    assert [request.query["resourceVersion"] for request in server.asked(watch="true")] == ["7", "8"]
    assert len(server.asked(limit="250")) == 1


async def test_a_watch_that_ends_in_the_middle_of_an_event_resumes(server: ScriptedServer, watch: Start) -> None:
    server.lists = [page(7)]
    server.watches = [stream(event("ADDED", pod("a", 8))[:-5], ends="cleanly"), stream(event("ADDED", pod("a", 8)))]
    watched = watch()
    await until(lambda: watched.changes)
    assert watched.names() == {"a"}
    assert len(server.asked(watch="true", resourceVersion="7")) == 2


async def test_silence_counts_as_a_broken_connection(server: ScriptedServer, watch: Start) -> None:
    server.lists = [page(7)]
    server.watches = [stream(bookmark(8)), stream(event("ADDED", pod("a", 9)))]
    watched = watch(silence_seconds=0.3)
    await until(lambda: watched.changes)
    assert server.asked(watch="true", resourceVersion="8")


async def test_age_grows_in_silence_and_only_a_word_of_the_server_ends_it(server: ScriptedServer, watch: Start) -> None:
    clock = [100.0]
    gate = asyncio.Event()
    server.lists = [page(7, pod("a", 1))]
    server.watches = [forever(), after(gate, stream(bookmark(8)))]
    watched = await watch(now=lambda: clock[0], silence_seconds=0.2).synced()
    assert watched.reflector.age_seconds() == 0
    clock[0] += 50
    await until(lambda: len(server.asked(watch="true")) == 2)
    assert watched.reflector.age_seconds() == 50
    gate.set()
    await until(lambda: watched.reflector.age_seconds() == 0)
    assert watched.names() == {"a"}


async def test_a_quiet_watch_that_ends_without_a_bookmark_is_followed_by_a_list(server: ScriptedServer, watch: Start) -> None:
    now = 0.0
    server.lists = [page(7, pod("a", 1)), page(8, pod("a", 1))]
    gate = asyncio.Event()
    server.watches = [after(gate, stream(ends="cleanly")), forever()]
    watched = await watch(now=lambda: now).synced()
    now = 50.0
    gate.set()
    await until(lambda: watched.reflector.age_seconds() == 0)


async def test_the_age_of_a_list_counts_from_the_question_not_from_the_answer(server: ScriptedServer, watch: Start) -> None:
    clock = [100.0]
    gate = asyncio.Event()
    server.lists = [after(gate, page(7))]
    watched = watch(now=lambda: clock[0])
    await until(lambda: server.requests)
    clock[0] += 3
    gate.set()
    await watched.synced()
    assert watched.reflector.age_seconds() == 3


@pytest.mark.parametrize(
    "line",
    [
        b"{not json}\n",
        b"[1]\n",
        b"[" * 200_000 + b"\n",
        event("MODIFIED", {"spec": {}}),
        event("MODIFIED", {"metadata": {"resourceVersion": "9", "namespace": "a"}}),
        event("MODIFIED", {"metadata": {"resourceVersion": "9", "name": "a"}}),
        event("UNHEARD-OF", pod("a", 9)),
        b'{"type": "ADDED", "object": null}\n',
        event("ERROR", {}),
    ],
)
async def test_a_line_that_is_no_event_leads_to_a_new_list(server: ScriptedServer, watch: Start, line: bytes) -> None:
    server.lists = [page(7, pod("a", 1)), page(10, pod("b", 8))]
    server.watches = [stream(line), forever()]
    watched = watch(backoff_seconds=(0.001, 0.01))
    await until(lambda: watched.reflector.synced and watched.names() == {"b"})
    assert watched.changes == [(A, "new"), (A, "gone"), (B, "new")]


async def test_an_event_beyond_all_bounds_is_not_read_to_its_end(server: ScriptedServer, watch: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sluice.cluster.client, "MAX_EVENT_BYTES", 100_000)
    server.lists = [page(7), page(9, pod("a", 8))]
    server.watches = [stream(*[b"x" * 50_000] * 4), forever()]
    watched = watch()
    await until(lambda: watched.reflector.synced and watched.names() == {"a"})


async def test_the_same_event_twice_is_one_change(server: ScriptedServer, watch: Start) -> None:
    server.lists = [page(7, pod("a", 1))]
    twice = event("MODIFIED", pod("a", 8))
    server.watches = [stream(event("ADDED", pod("a", 1)), twice, twice, event("DELETED", pod("a", 9)), event("DELETED", pod("a", 9)), bookmark(10))]
    watched = watch()
    await until(lambda: watched.changes[-1:] == [(A, "gone")])
    assert watched.changes == [(A, "new"), (A, "changed"), (A, "gone")]


async def test_an_object_made_anew_under_its_old_name_is_a_change(server: ScriptedServer, watch: Start) -> None:
    successor = pod("a", 1)
    successor["metadata"]["uid"] = "another"
    server.lists = [page(7, pod("a", 1)), page(8, successor)]
    server.watches = [refusal(410), forever()]
    watched = watch()
    await until(lambda: len(watched.changes) == 2)
    assert watched.changes[1] == (A, "changed")


async def test_a_bookmark_moves_the_place_to_resume_from(server: ScriptedServer, watch: Start) -> None:
    server.lists = [page(7)]
    server.watches = [stream(bookmark(42), ends="cut"), forever()]
    watch()
    await until(lambda: server.asked(watch="true", resourceVersion="42"))
    assert len(server.asked(limit="250")) == 1


async def test_a_callback_that_raises_loses_no_object_and_stops_nothing(server: ScriptedServer, watch: Start) -> None:
    def fail(kind: str, key: Key, old: Object | None, new: Object | None) -> None:
        raise RuntimeError(kind, key, old, new)

    server.lists = [page(7, pod("a", 1))]
    server.watches = [stream(event("ADDED", pod("b", 8)), event("ADDED", pod("c", 9)))]
    watched = watch(on_change=fail)
    await until(lambda: watched.reflector.callback_failures == 3)
    assert watched.names() == {"a", "b", "c"}


async def test_an_object_that_cannot_be_narrowed_is_kept_whole(server: ScriptedServer, watch: Start) -> None:
    def image(obj: Object) -> Object:
        return {"image": obj["spec"]["image"]}

    server.lists = [page(7, pod("a", 1, image="x"), pod("b", 2), {**pod("c", 3), "spec": "no mapping"})]
    watched = await watch(project=image).synced()
    assert watched.store.get(A) == {"image": "x"}
    assert (watched.store.get(B) or {})["spec"] == {}
    assert (watched.store.get(C) or {})["spec"] == "no mapping"


async def test_objects_of_lists_and_of_watches_look_alike_and_carry_no_ballast(server: ScriptedServer, watch: Start) -> None:
    listed, followed = pod("a", 1), {**pod("b", 8), "apiVersion": "v1", "kind": "Pod"}
    for obj in (listed, followed):
        obj["metadata"]["managedFields"] = [{"manager": "somebody"}]
    server.lists = [page(7, listed)]
    server.watches = [stream(event("ADDED", followed))]
    watched = watch()
    await until(lambda: len(watched.changes) == 2)
    for obj in (watched.store.get(A) or {}, watched.store.get(B) or {}):
        assert (obj["apiVersion"], obj["kind"]) == ("v1", "Pod")
        assert "managedFields" not in obj["metadata"]


async def test_a_restart_of_the_server_is_survived(server: ScriptedServer, watch: Start) -> None:
    server.lists = [page(7, pod("a", 1))]
    watched = await watch().synced()
    await until(lambda: server.asked(watch="true"))
    await server.stop()
    await until(lambda: watched.reflector.last_error)
    server.lists = [page(9, pod("b", 8))]
    server.watches = [refusal(410), stream(bookmark(9))]
    await server.start()
    await until(lambda: watched.names() == {"b"})
    assert watched.changes[1:] == [(A, "gone"), (B, "new")]


async def test_a_server_that_lost_our_version_is_asked_for_a_list(server: ScriptedServer, watch: Start) -> None:
    server.lists = [page(700, pod("a", 1)), page(5, pod("b", 4))]
    server.watches = [*[refusal(504, "Timeout", "Too large resource version: 700, current: 5")] * 3, forever()]
    watched = watch()
    await until(lambda: watched.reflector.synced and watched.names() == {"b"})
    await until(lambda: server.asked(watch="true", resourceVersion="5"))


async def test_many_large_objects_arrive_in_smaller_pages(server: ScriptedServer, watch: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sluice.cluster.client, "MAX_RESPONSE_BYTES", 10_000)
    server.lists = [page(7, pod("a", 1, text="x" * 20_000)), page(7, pod("a", 1), more="next"), page(7, pod("b", 2))]
    watched = await watch().synced()
    assert watched.names() == {"a", "b"}
    assert [request.query["limit"] for request in server.asked(watch=None)] == ["250", "62", "62"]


async def test_without_permission_nothing_is_known_and_the_reason_is_told(server: ScriptedServer, watch: Start) -> None:
    server.lists = [refusal(403, "Forbidden", 'pods is forbidden: User "u" cannot list resource "pods"')]
    watched = watch()
    await until(lambda: watched.reflector.last_error)
    assert "cannot list resource" in (watched.reflector.last_error or "")
    assert not watched.reflector.synced


@pytest.mark.parametrize("fault", [refusal(403, "Forbidden"), stream(ends="cleanly"), refusal(500)])
async def test_lists_that_work_beside_watches_that_fail_do_not_become_a_storm(server: ScriptedServer, watch: Start, fault: Any) -> None:  # noqa: ANN401
    server.lists = [page(7, pod("a", 1))]
    server.watches = [fault]
    await watch(backoff_seconds=(0.1, 60.0)).synced()
    await asyncio.sleep(1.0)  # What must not happen can only be waited for.
    # Waits of at least 0.05, 0.1, 0.2, 0.4, 0.8 seconds lie between the attempts.
    assert 2 <= len(server.asked(watch="true")) <= 5
