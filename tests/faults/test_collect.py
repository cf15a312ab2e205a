"""Samples are pushed over real connections, and fetched as the Job of a monitor fetches them; who floods, forges or repeats gets nowhere."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from sluice.scoring.collecting import server as module
from sluice.scoring.collecting.events import BODY_BYTES
from sluice.scoring.collecting.sample import Draw, Sample
from sluice.scoring.collecting.server import CollectingServer
from sluice.scoring.live import Source, watch
from sluice.scoring.probe import Probed, ProbeRefused
from tests.faults.test_live import CASES, plan

DRAW = Draw(salt=b"s", tags=["safe"])
TOKEN, PUSH_TOKEN = "t0ken-of-the-suite", "t0ken-of-who-pushes"
REFUSES = "I'm sorry, but I can't help with that."


class Clock:
    """The time, or later."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Collector:
    """One that runs, and a client."""

    def __init__(self, server: CollectingServer, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.session = session
        self.clock = clock
        self.began = clock() - timedelta(seconds=1)
        self.push_url = f"http://127.0.0.1:{server.push_port}/"
        self.read_url = f"http://127.0.0.1:{server.read_port}"

    async def push(self, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, str, Mapping[str, str]]:
        async with self.session.post(self.push_url, data=io.BytesIO(body), headers=headers) as response:
            return response.status, await response.text(), response.headers

    async def kserve(self, id_: str, half: str, body: object, *, source: str = "http://localhost:9081/") -> int:
        """Push as KServe's logger does."""
        headers = {
            "Ce-Specversion": "1.0", "Ce-Id": id_, "Ce-Source": source, "Ce-Type": f"org.kubeflow.serving.inference.{half}", "Ce-Namespace": "payments",
            "Ce-Time": datetime.now(UTC).isoformat(), "Ce-Inferenceservicename": "churn", "Content-Type": "application/json",
        }  # fmt: skip
        return (await self.push(body if isinstance(body, bytes) else json.dumps(body).encode(), headers))[0]

    async def exchange(self, id_: str, said: str) -> list[int]:
        asked = {"model": "churn", "messages": [{"role": "user", "content": "May I?"}]}
        answered = {"choices": [{"message": {"role": "assistant", "content": said}}]}
        return [await self.kserve(id_, "request", asked), await self.kserve(id_, "response", answered)]

    async def probed(self, since: datetime | None = None, until: datetime | None = None, token: str = TOKEN) -> Probed:
        """Fetch and score as the Job of a monitor does."""
        begin, end = since or self.began, until or datetime.now(UTC) + timedelta(seconds=1)
        source = Source.parse(f"{self.read_url}/v1/samples", since=begin.isoformat(), until=end.isoformat())
        return await watch(plan(), CASES, metric="refuses", source=source, token=token)


@asynccontextmanager
async def collecting(folder: Path, *, draw: Draw = DRAW, guarded: bool = False) -> AsyncIterator[Collector]:
    clock = Clock()
    for name, token in (("read", TOKEN), ("push", PUSH_TOKEN)):
        (folder / name).write_text(f"{token}\n")
    server = CollectingServer(Sample(draw, now=clock()), read_token=folder / "read", push_token=folder / "push" if guarded else None, clock=clock)
    await server.start(push=("127.0.0.1", 0), read=("127.0.0.1", 0))
    try:
        async with aiohttp.ClientSession() as session:
            yield Collector(server, session, clock)
    finally:
        await server.stop()


async def test_what_kserve_logs_is_what_a_monitor_counts(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        assert [await collector.exchange(f"r-{n}", said) for n, said in enumerate(["Yes, within 30 days.", REFUSES, "Yes."])] == [[202, 202]] * 3
        assert await collector.probed() == Probed(plan=plan().digest, values={1.0: 2, 0.0: 1}, missing=0)


async def test_two_readings_that_follow_each_other_count_everything_once_whatever_is_sent_again(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await collector.exchange("a", "Yes.")
        noted = datetime.now(UTC)
        await collector.exchange("b", REFUSES)
        await collector.exchange("a", "Yes.")
        first, second = await collector.probed(until=noted), await collector.probed(since=noted)
        assert (first.values, second.values) == ({1.0: 1}, {0.0: 1})


async def test_after_a_restart_what_is_sent_again_is_not_counted_again(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        line = json.dumps({"id": "a", "at": datetime.now(UTC).isoformat(), "request": {"prompt": "?"}, "answer": None}).encode()
        assert [(await collector.push(line))[:2] for _ in range(2)] == [(202, "Kept\n"), (202, "Known\n")]
    async with collecting(tmp_path) as again:
        assert (await again.push(line))[:2] == (202, "TooOld\n")
        assert (await again.probed()).observations == ()


async def test_nobody_fetches_without_the_token_of_the_suite_and_a_new_one_counts_at_once(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await collector.exchange("a", "Yes.")
        with pytest.raises(ProbeRefused, match="answered 401"):
            await collector.probed(token="another-token-that-is-long")
        (tmp_path / "read").write_text("another-token-that-is-long")
        assert (await collector.probed(token="another-token-that-is-long")).values == {1.0: 1}
        (tmp_path / "read").write_text("")
        with pytest.raises(ProbeRefused, match="answered 401"):
            await collector.probed(token="another-token-that-is-long")


async def test_who_pushes_from_elsewhere_shows_a_token_and_pushes_only(tmp_path: Path) -> None:
    async with collecting(tmp_path, guarded=True) as collector:
        line = b'{"id": "a", "request": {"prompt": "?"}, "answer": null}'
        for shown in ({}, {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": PUSH_TOKEN}):
            assert (await collector.push(line, shown))[0] == 401
        assert (await collector.push(line, {"Authorization": f"Bearer {PUSH_TOKEN}"}))[:2] == (202, "Kept\n")
        async with collector.session.get(f"{collector.push_url}v1/samples", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            assert response.status == 405
        async with collector.session.post(collector.read_url, data=line) as response:
            assert response.status == 404


async def test_a_flood_is_told_when_to_come_again_and_what_was_turned_away_may(tmp_path: Path) -> None:
    async with collecting(tmp_path, draw=replace(DRAW, per_second=2)) as collector:
        lines = b"\n".join(b'{"id": "%d", "request": {"prompt": "?"}, "answer": null}' % n for n in range(3))
        status, _, headers = await collector.push(lines)
        assert (status, headers["Retry-After"]) == (429, "1")
        collector.clock.ahead += timedelta(seconds=1)
        assert (await collector.push(lines))[:2] == (202, "Known\nKnown\nKept\n")


async def test_what_is_read_at_a_moment_is_bounded_in_number_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PUSHES_MOST", 1)
    monkeypatch.setattr(module, "PUSH_SECONDS", 0.4)
    async with collecting(tmp_path) as collector:
        half_sent = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"{"
            half_sent.set()
            await asyncio.sleep(30)

        async def dribble() -> int:
            async with collector.session.post(collector.push_url, data=slow()) as response:
                return response.status

        dribbling = asyncio.create_task(dribble())
        await half_sent.wait()
        # What was half sent may be on its way yet.
        told = [await collector.push(b"{}") for _ in range(20)]
        assert 429 in [status for status, _, _ in told]
        assert await dribbling == 408
        assert (await collector.push(b"x" * (BODY_BYTES + 1)))[0] == 413
        packed = {"Content-Encoding": "gzip"}
        assert (await collector.push(b"{}", packed))[0] == 415
        assert (await collector.push(b"no json"))[:2] == (400, "line 1 is not the JSON we accept: Expecting value: line 1 column 1 (char 0)\n")


async def test_a_push_without_an_end_is_not_read_to_it(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 32 * BODY_BYTES:
            sent += 65_536
            yield b"x" * 65_536

    async with collecting(tmp_path) as collector:
        with suppress(aiohttp.ClientConnectionError):  # it may be cut off before it hears why
            async with collector.session.post(collector.push_url, data=endless()) as response:
                assert response.status == 413
        # What is on the way, in buffers of both sides, was sent, too.
        assert sent < 16 * BODY_BYTES


async def test_an_answer_without_an_end_counts_as_missing(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await collector.kserve("a", "request", {"messages": [{"role": "user", "content": "May I?"}]})
        assert await collector.kserve("a", "response", b"x" * (BODY_BYTES + 1)) == 202
        assert (await collector.probed()).observations == (None,)


async def test_counts_are_shown_to_anybody_and_hold_no_text(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await collector.exchange("a-name-of-a-user", "Yes.")
        await collector.push(b"no json")
        async with collector.session.get(f"{collector.read_url}/metrics") as response:
            page = await response.text()
        assert 'sluice_collect_pushed_total{outcome="Kept"} 1\n' in page
        assert 'sluice_collect_pushed_total{outcome="Waits"} 1\n' in page
        assert "sluice_collect_refused_total 1\n" in page
        assert "sluice_collect_kept 1\n" in page
        assert "a-name-of-a-user" not in page
        async with collector.session.get(f"{collector.read_url}/v1/samples?since=noon", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            assert response.status == 400


async def test_the_process_takes_shows_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    arguments = ["collect", "--token-file", str(tmp_path / "token"), "--push", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--tag", "safe"]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "from sluice.cli import main; main()", *arguments, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            assert process.stderr is not None
            said = (await process.stderr.readline()).decode()
            ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", said)]
            async with session.post(f"http://127.0.0.1:{ports[0]}/", data=b'{"id": "a", "request": {"prompt": "?"}, "answer": null}') as response:
                assert (response.status, await response.text()) == (202, "Kept\n")
            url = f"http://127.0.0.1:{ports[1]}/v1/samples?since=2026-11-21T12:00:00Z"
            async with session.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as response:
                assert (await response.json(content_type=None))["tags"] == ["safe"]
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
