"""The webhook's server under load, with slow, large and misled clients, while certificates change and while it ends."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from sluice.webhook import server as server_module
from sluice.webhook.certificates import Lifetimes, Material, renew
from sluice.webhook.metrics import Metrics
from sluice.webhook.review import MAX_BODY_BYTES
from sluice.webhook.server import AdmissionServer
from sluice.webhook.sight import Sight
from sluice.webhook.tls import SwappableTls
from tests.unit.decision.case import NOW, approved_world
from tests.unit.webhook.reviews import body, pod

LIFETIMES = Lifetimes(ca=timedelta(days=100), leaf=timedelta(days=30), overlap=timedelta(days=1))


def made() -> Material:
    return renew(None, ["localhost"], LIFETIMES, now=datetime.now(UTC))


def use(tls: SwappableTls, material: Material) -> None:
    tls.swap(certificate_pem=material.leaf_pem, key_pem=material.leaf_key_pem)


def trusting(*materials: Material) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=b"".join(material.bundle_pem for material in materials).decode())


class Running:
    """A server that is up, and what it is told."""

    def __init__(self, *, deadline_seconds: float = 5.0, drain_seconds: float = 0.0) -> None:
        self.world = approved_world()
        self.blind = ""
        self.tls = SwappableTls()
        self.server = AdmissionServer(
            lambda: Sight(world=self.world, now=NOW, blind=self.blind),
            self.tls,
            Metrics(world_age_seconds=lambda: 1.5, certificate_expires=lambda: 2e9),
            deadline_seconds=deadline_seconds,
            drain_seconds=drain_seconds,
        )

    def url(self, path: str = "/validate") -> str:
        return f"https://localhost:{self.server.port}{path}"

    async def probe(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.server.probe_port}{path}") as response:
            return response.status, await response.text()


@asynccontextmanager
async def running(**settings: float) -> AsyncIterator[Running]:
    up = Running(**settings)
    await up.server.start(host="127.0.0.1", port=0, probe_port=0)
    try:
        yield up
    finally:
        await up.server.stop()


@asynccontextmanager
async def client(*materials: Material, keep_alive: bool = True) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=trusting(*materials), force_close=not keep_alive, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def post(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.post(url, data=body(pod(gated=False))) as response:
        assert response.status == 200
        return bool(json.loads(await response.read())["response"]["allowed"])


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_no_request_is_dropped_while_certificates_change(keep_alive: bool) -> None:
    materials = [made(), made()]
    async with running() as up, client(*materials, keep_alive=keep_alive) as session:
        use(up.tls, materials[0])
        answers: list[bool] = []
        ending, answered = asyncio.Event(), asyncio.Semaphore(0)

        async def load() -> None:
            while not ending.is_set():
                answers.append(await post(session, up.url()))
                answered.release()

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(load())
            for number in range(20):
                use(up.tls, materials[number % 2])
                for _ in range(10):
                    await answered.acquire()
            ending.set()
        assert len(answers) >= 200
        assert all(answers)


async def test_a_new_connection_sees_the_new_certificate_and_an_open_one_goes_on() -> None:
    old, new = made(), made()
    async with running() as up, client(old) as patient, client(new) as fresh:
        use(up.tls, old)
        assert await post(patient, up.url())
        use(up.tls, new)
        assert await post(patient, up.url())
        assert await post(fresh, up.url())
    async with running() as up, client(old) as late:
        use(up.tls, new)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await post(late, up.url())


async def test_a_pair_that_does_not_match_changes_nothing() -> None:
    good, other = made(), made()
    async with running() as up, client(good, keep_alive=False) as session:
        use(up.tls, good)
        for certificate, key in ((good.leaf_pem, other.leaf_key_pem), (b"", b""), (good.leaf_pem, b"nonsense")):
            with pytest.raises(ssl.SSLError):
                up.tls.swap(certificate_pem=certificate, key_pem=key)
        assert await post(session, up.url())


async def test_without_a_certificate_there_is_no_handshake_and_no_readiness() -> None:
    material = made()
    async with running() as up, client(material) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await post(session, up.url())
        assert await up.probe("/readyz") == (503, "there is no serving certificate yet\n")
        use(up.tls, material)
        assert await up.probe("/readyz") == (200, "ok\n")
        up.blind = "it last heard from the API server 900 s ago"
        assert await up.probe("/readyz") == (503, "it last heard from the API server 900 s ago\n")
        assert await up.probe("/healthz") == (200, "ok\n")


@pytest.mark.parametrize("path", ["/", "/mutate/", "/validate/x", "/MUTATE", "//validate", "/healthz", "/metrics"])
async def test_any_other_path_is_not_found(path: str) -> None:
    material = made()
    async with running() as up, client(material) as session:
        use(up.tls, material)
        async with session.post(up.url(path), data=body(pod())) as response:
            assert response.status == 404
            assert b"allowed" not in await response.read()


async def test_only_posts_are_answered() -> None:
    material = made()
    async with running() as up, client(material) as session:
        use(up.tls, material)
        async with session.get(up.url()) as response:
            assert response.status == 405


async def test_a_body_larger_than_the_bound_is_refused_declared_or_not() -> None:
    material = made()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b" " * (MAX_BODY_BYTES // 7)

    async with running() as up, client(material) as session:
        use(up.tls, material)
        for data in (io.BytesIO(b" " * (MAX_BODY_BYTES + 1)), chunks()):
            try:
                async with session.post(up.url(), data=data) as response:
                    assert response.status == 413
            except aiohttp.ClientConnectionError:
                # The server does not read the rest, so the client may lose the connection while it still writes.
                pass
        assert await post(session, up.url())
        assert 'sluice_admission_unanswered_total{cause="BodyTooLarge"} 2.0' in (await up.probe("/metrics"))[1]


async def test_a_client_that_does_not_finish_is_given_up() -> None:
    material = made()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with running(deadline_seconds=0.2) as up, client(material) as session:
        use(up.tls, material)
        async with session.post(up.url(), data=stalled()) as response:
            assert response.status == 408
        assert await post(session, up.url())


async def test_bodies_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    material, arrived, finish = made(), asyncio.Event(), asyncio.Event()
    sent = body(pod(gated=False))
    monkeypatch.setattr(server_module, "MAX_BODIES_BYTES", len(sent) + 10)

    async def slow() -> AsyncIterator[bytes]:
        yield sent[:10]
        arrived.set()
        await finish.wait()
        yield sent[10:]

    async with running() as up, client(material) as session:
        use(up.tls, material)
        first = asyncio.create_task(_status(session, up.url(), slow(), length=len(sent)))
        await arrived.wait()
        while await _status(session, up.url(), sent, length=len(sent)) != 503:
            pass
        finish.set()
        assert await first == 200
        assert await post(session, up.url())


async def _status(session: aiohttp.ClientSession, url: str, data: AsyncIterator[bytes] | bytes, *, length: int) -> int:
    async with session.post(url, data=data, headers={"Content-Length": str(length)}) as response:
        return response.status


async def test_what_is_in_flight_when_it_ends_is_answered() -> None:
    material, arrived, finish = made(), asyncio.Event(), asyncio.Event()
    sent = body(pod(gated=False))

    async def slow() -> AsyncIterator[bytes]:
        yield sent[:10]
        arrived.set()
        await finish.wait()
        yield sent[10:]

    up = Running(drain_seconds=0.3)
    await up.server.start(host="127.0.0.1", port=0, probe_port=0)
    use(up.tls, material)
    async with client(material) as session:
        request = asyncio.create_task(_status(session, up.url(), slow(), length=len(sent)))
        await arrived.wait()
        stopping = asyncio.create_task(up.server.stop())
        while (await up.probe("/readyz"))[0] == 200:
            pass
        # Not ready, and still answering: endpoints take a moment to reach every API server.
        async with session.post(up.url(), data=sent) as response:
            assert response.status == 200
            assert response.headers["Connection"] == "close"
        finish.set()
        assert await request == 200
        await stopping
        with pytest.raises(aiohttp.ClientConnectorError):
            await post(session, up.url())


async def test_each_answer_is_counted_by_path_action_and_reason() -> None:
    material = made()
    async with running() as up, client(material) as session:
        use(up.tls, material)
        await post(session, up.url("/mutate"))
        await post(session, up.url())
        async with session.post(up.url(), data=b"nonsense") as response:
            assert not json.loads(await response.read())["response"]["allowed"]
        page = (await up.probe("/metrics"))[1]
        assert 'sluice_admission_requests_total{action="Allow",path="/validate",reason="Entitled"} 1.0' in page
        assert 'sluice_admission_requests_total{action="Deny",path="/validate",reason="ObjectInvalid"} 1.0' in page
        assert 'sluice_admission_duration_seconds_count{path="/mutate"} 1.0' in page
        assert "sluice_world_age_seconds 1.5" in page
