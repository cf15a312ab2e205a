"""Reflector and client against a real API server, its restart, and a line to it that breaks."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.cluster import Cluster, Narrator
from e2e.cluster.sandbox import kill
from sluice.cluster.client import ApiClient
from sluice.cluster.connection import Connection
from sluice.cluster.errors import Conflict, DoesNotFit, Forbidden, Gone, Invalid, NotFound
from sluice.cluster.events import EventRecorder
from sluice.cluster.reflector import Reflector
from sluice.cluster.resource import EVENTS, Resource
from sluice.cluster.store import Object
from sluice.decision.records import Key
from tests.cluster.namespace import Namespace

CONFIG_MAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
LABEL = "reflector-test"


class Line:
    """A way to the API server that a test can cut: connections end, and new ones are refused."""

    def __init__(self, server: str) -> None:
        url = urlsplit(server)
        self._target = (url.hostname, url.port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await asyncio.gather(*self._connections)
            await self._listener.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        onward_reader, onward_writer = await asyncio.open_connection(*self._target)
        both = {writer, onward_writer}
        self._writers |= both
        await asyncio.gather(self._copy(reader, onward_writer), self._copy(onward_reader, writer))
        self._writers -= both
        self._connections.discard(connection)

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def line_to(cluster: Cluster) -> AsyncIterator[tuple[Line, ApiClient]]:
    connection = Connection.load(kubeconfig=cluster.kubeconfig)
    url = urlsplit(connection.server)
    line = Line(connection.server)
    await line.open()
    connection.server, connection.server_name = f"https://127.0.0.1:{line.port}", url.hostname
    async with ApiClient(connection) as client:
        yield line, client
    await line.cut()


@asynccontextmanager
async def running(reflector: Reflector) -> AsyncIterator[None]:
    task = asyncio.ensure_future(reflector.run())
    async with asyncio.timeout(10):
        await reflector.wait_synced()
    yield
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], object], *, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.02)


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {LABEL: "yes"}}, "data": data}


@asynccontextmanager
async def client_of(cluster: Cluster) -> AsyncIterator[ApiClient]:
    async with ApiClient(Connection.load(kubeconfig=cluster.kubeconfig)) as client:
        yield client


async def test_what_happened_while_the_line_was_cut_and_the_server_restarted_leaves_no_ghosts(cluster: Cluster, ns: Namespace) -> None:
    changes: list[tuple[str, str]] = []

    def note(_kind: str, key: Key, old: Object | None, new: Object | None) -> None:
        if key.namespace == ns.name:
            changes.append((key.name, "new" if old is None else "gone" if new is None else "changed"))

    async with line_to(cluster) as (line, client), client_of(cluster) as direct:
        for name in ("stays", "changes", "goes"):
            await direct.create(CONFIG_MAPS, config_map(name), ns.name)
        reflector = Reflector(client, CONFIG_MAPS, label_selector=f"{LABEL}=yes", on_change=note, backoff_seconds=(0.2, 0.5))
        async with running(reflector):
            before = await direct.get(CONFIG_MAPS.path(ns.name, "stays"))
            changes.clear()
            # 1. Nobody hears what happens now: one goes, one changes, one goes and comes again under its name.
            await line.cut()
            await until(lambda: reflector.last_error)
            await direct.delete(CONFIG_MAPS.path(ns.name, "goes"))
            await direct.apply(CONFIG_MAPS.path(ns.name, "changes"), config_map("changes", now="new"))
            await direct.create(CONFIG_MAPS, config_map("comes"), ns.name)
            assert {key.name for key, _ in reflector.store.items() if key.namespace == ns.name} == {"stays", "changes", "goes"}
            assert changes == []
            # 2. A new API server remembers nothing older than itself.
            kill(cluster.place.folder, lambda process: process.component == "kube-apiserver")
            await asyncio.to_thread(Cluster.up, cluster.name, narrator=Narrator(quiet=True))
            events = direct.watch(CONFIG_MAPS, resource_version=before["metadata"]["resourceVersion"], seconds=5, silence_seconds=10)
            with pytest.raises(Gone):
                await anext(events)
            await line.open()
            # 3. The store is what the server has, and each difference was told once.
            await until(lambda: len(changes) == 3)
            assert sorted(changes) == [("changes", "changed"), ("comes", "new"), ("goes", "gone")]
            assert {key.name for key, _ in reflector.store.items() if key.namespace == ns.name} == {"stays", "changes", "comes"}
            assert reflector.age_seconds() < 5


async def test_the_server_proves_twice_a_minute_that_nothing_happened(cluster: Cluster, ns: Namespace) -> None:
    async with client_of(cluster) as client:
        await client.create(CONFIG_MAPS, config_map("one"), ns.name)
        reflector = Reflector(client, CONFIG_MAPS, label_selector=f"{LABEL}=yes", watch_seconds=6, silence_seconds=8)
        async with running(reflector):
            # A bookmark two seconds before the end of each watch, as with the default of 30 seconds.
            await until(lambda: reflector.age_seconds() > 3)
            await until(lambda: reflector.age_seconds() < 1)
            assert reflector.last_error is None


async def test_a_list_in_many_pages_is_whole(cluster: Cluster, ns: Namespace) -> None:
    async with client_of(cluster) as client:
        for number in range(7):
            await client.create(CONFIG_MAPS, config_map(f"n{number}"), ns.name)
        names, more = [], ""
        while True:
            page = await client.list_page(CONFIG_MAPS, ns.name, label_selector=f"{LABEL}=yes", limit=3, more=more)
            names += [obj["metadata"]["name"] for obj in page.items]
            if not (more := page.more):
                break
        assert names == [f"n{number}" for number in range(7)]
        assert [obj["metadata"]["name"] for obj in await client.list(CONFIG_MAPS, ns.name, label_selector=f"{LABEL}=yes")] == names


async def test_the_real_server_answers_with_the_errors_we_know(cluster: Cluster, ns: Namespace) -> None:
    path = CONFIG_MAPS.path(ns.name, "one")
    async with client_of(cluster) as client:
        with pytest.raises(NotFound):
            await client.get(path)
        made = await client.apply(path, config_map("one", a="b"))
        with pytest.raises(Conflict, match="already exists"):
            await client.create(CONFIG_MAPS, config_map("one"), ns.name)
        changed = await client.patch_json(path, [{"op": "test", "path": "/data/a", "value": "b"}, {"op": "add", "path": "/data/c", "value": "d"}])
        assert changed["data"] == {"a": "b", "c": "d"}
        with pytest.raises(DoesNotFit):
            await client.patch_json(path, [{"op": "test", "path": "/data/a", "value": "x"}, {"op": "remove", "path": "/data/c"}])
        with pytest.raises(DoesNotFit):
            await client.patch_json(path, [{"op": "remove", "path": "/data/none/such"}])
        with pytest.raises(Invalid):
            await client.patch_json(path, [{"op": "add", "path": "/data/not a key", "value": "x"}])
        with pytest.raises(Conflict):
            await client.replace(path, made)
        with pytest.raises(Conflict):
            await client.apply(path, config_map("one", a="other"), field_manager="somebody", force=False)
        with pytest.raises(Invalid):
            await client.create(CONFIG_MAPS, {**config_map("two"), "data": {"a": 1}}, ns.name)
        with pytest.raises(Conflict):
            await client.delete(path, uid="another")
        await client.delete(path, uid=made["metadata"]["uid"])
        with pytest.raises(NotFound):
            await client.get(path)


async def test_a_user_without_rights_is_told_so(cluster: Cluster, ns: Namespace, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(cluster.user_kubeconfig("nobody-in-particular"))
    async with ApiClient(Connection.load(kubeconfig=file)) as client:
        with pytest.raises(Forbidden, match="nobody-in-particular"):
            await client.get(CONFIG_MAPS.path(ns.name, "one"))


async def test_people_find_events_with_kubectl_describe(cluster: Cluster, ns: Namespace) -> None:
    async with client_of(cluster) as client:
        about = await client.apply(CONFIG_MAPS.path(ns.name, "one"), config_map("one"))
        recorder = EventRecorder(client, controller="sluice.dev/controller", instance="pod-1")
        await recorder.record(about, type_="Warning", reason="ApprovalMissing", action="Hold", note="needs 1 more approval")
        [event] = await client.list(EVENTS, ns.name, field_selector="reason=ApprovalMissing")
    assert event["note"] == "needs 1 more approval"
    shown = json.loads(ns.kubectl("events", "--for=configmap/one", "--output=json").stdout)["items"]
    assert [item["message"] for item in shown] == ["needs 1 more approval"]
