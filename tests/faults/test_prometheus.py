"""A Prometheus that is silent, slow, wrong, endless or somebody else: the controller says why it heard nothing, and nothing is read without bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from sluice.cluster import prometheus
from sluice.cluster.prometheus import PrometheusClient, PrometheusError, PrometheusServer, Unread
from sluice.scoring.prometheus import ANSWER_LIMIT

WHEN = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
SECONDS = str(WHEN.timestamp())


@dataclass
class Served:
    """A server: what it answers is the test's to write."""

    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/prometheus/"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    server, application = Served(), web.Application()

    async def answer(request: web.Request) -> web.StreamResponse:
        server.asked.append((request.path, {name: str(value) for name, value in (await request.post()).items()}))
        assert server.answer is not None
        return await server.answer(request)

    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


def says(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return answer


async def unread(url: str) -> PrometheusError:
    async with PrometheusClient(PrometheusServer(url=url)) as client:
        with pytest.raises(PrometheusError) as refused:
            await client.instant("up", at=WHEN)
    return refused.value


@pytest.mark.usefixtures("socket_enabled")
async def test_a_query_is_asked_at_one_moment_or_over_a_time(served: Served) -> None:
    served.answer = says(b'{"status":"success"}')
    async with PrometheusClient(PrometheusServer(url=served.url)) as client:
        assert await client.instant('up{a="ä&b"}', at=WHEN) == b'{"status":"success"}'
        await client.over("up", start=WHEN - timedelta(hours=1), end=WHEN, step=timedelta(seconds=0.5))
    first, second = served.asked
    assert first == ("/prometheus/api/v1/query", {"query": 'up{a="ä&b"}', "time": f"{SECONDS}0", "timeout": "10s"})
    assert second[0] == "/prometheus/api/v1/query_range"
    assert (second[1]["end"], second[1]["step"]) == (f"{SECONDS}0", "0.500")


@pytest.mark.usefixtures("socket_enabled")
async def test_an_answer_is_not_compressed_though_prometheus_would(served: Served) -> None:
    async def compresses(_: web.Request) -> web.Response:
        response = web.Response(body=b'{"status":"success"}' * 100)
        response.enable_compression()  # as the client accepts it
        return response

    served.answer = compresses
    async with PrometheusClient(PrometheusServer(url=served.url)) as client:
        assert (await client.instant("up", at=WHEN)).startswith(b'{"status"')


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("status", [400, 422])
async def test_an_error_about_the_query_is_an_answer(served: Served, status: int) -> None:
    served.answer = says(b'{"status":"error","error":"parse error"}', status)
    async with PrometheusClient(PrometheusServer(url=served.url)) as client:
        assert b"parse error" in await client.instant("up{", at=WHEN)


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("status", [204, 302, 401, 403, 404, 500, 503])
async def test_any_other_status_is_none(served: Served, status: int) -> None:
    served.answer = says(b"" if status == 204 else b"{}", status, {"Location": "/elsewhere"})
    error = await unread(served.url)
    assert (error.cause, str(error)) == (Unread.STATUS, f"Prometheus answers HTTP {status}")
    assert len(served.asked) == 1, "nobody is followed anywhere"


@pytest.mark.usefixtures("socket_enabled")
async def test_an_endless_answer_is_cut_off(served: Served) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)
            sent += 65536

    served.answer = endless
    assert (await unread(served.url)).cause is Unread.TOO_LARGE
    assert sent < 20 * ANSWER_LIMIT


@pytest.mark.usefixtures("socket_enabled")
async def test_a_server_that_does_not_answer_costs_its_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def waits(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    served.answer = waits
    monkeypatch.setattr(prometheus, "ANSWER_SECONDS", 0.2)
    error = await unread(served.url)
    assert error.cause is Unread.UNREACHABLE
    assert "no answer within" in str(error)


@pytest.mark.usefixtures("socket_enabled")
async def test_a_closed_port_is_told(served: Served) -> None:
    assert (await unread("http://127.0.0.1:1")).cause is Unread.UNREACHABLE
    assert served.asked == []


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://prometheus", "http://", "http://me:secret@prometheus", "http://prometheus/?x=1", "http://p/#x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="prometheus-url"):
        PrometheusServer(url=url)


def test_a_token_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="https"):
        PrometheusServer(url="http://prometheus:9090", token_file=tmp_path / "token")


@pytest.mark.parametrize(("content", "works"), [(b"abc\n", True), (b"", False), ("ü".encode(), False), (b"a\nb", False), (None, False)])
def test_the_token_is_read_anew_and_one_that_is_none_is_told_without_it(tmp_path: Path, content: bytes | None, works: bool) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    client = PrometheusClient(PrometheusServer(url="https://prometheus:9090", token_file=token))
    if works:
        assert client._authorization() == {"Authorization": "Bearer abc"}
        token.write_bytes(b"rotated")
        assert client._authorization() == {"Authorization": "Bearer rotated"}
        return
    with pytest.raises(PrometheusError) as refused:
        client._authorization()
    assert refused.value.cause is Unread.CREDENTIALS
    assert "ü" not in str(refused.value)
