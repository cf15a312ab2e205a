"""`sluice score` as people and Jobs start it: a process between two model servers, with its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from sluice.api.scoring import SuiteSpec
from sluice.scoring.cases import read_cases
from sluice.scoring.plan import Plan, plan_run
from sluice.scoring.tally import ShardStatistics
from sluice.scoring.wire import read_statistics
from tests.faults.model_servers import ModelServer
from tests.faults.scripted import Step, answer, forever

SUITE: dict[str, Any] = {
    "protocol": {"type": "Http", "port": 80, "http": {"path": "/predict", "body": '{"n": "{{n}}"}', "answer": "/label"}, "concurrency": 16},
    "cases": {"configMap": {"name": "churn", "key": "cases.jsonl", "digest": "sha256:" + "0" * 64}},
    "slices": ["region"],
    "scorers": [
        {"name": "accuracy", "type": "ExactMatch"},
        {"name": "leak", "type": "Exfiltration", "tokens": ["canary-5f0c1d2e3b4a59687f"]},
        {"name": "tokens", "type": "Tokens"},
    ],
}
CASES = "".join(
    json.dumps({"id": f"c-{n}", "input": {"fields": {"n": n}}, "expect": {"text": "yes"}, "slices": {"region": "DACH" if n % 2 else "EMEA"}}) + "\n"
    for n in range(200)
)


def right(share: float, *, word: str = "no") -> Step:
    """Answer `yes` to this share of the cases, the same ones each time."""

    async def step(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.Response()
        number = (await request.json())["n"]
        return web.json_response({"label": "yes" if random.Random(number).random() < share else word})

    return step


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a suite and its cases."""
    suite = SUITE | {"cases": {"configMap": SUITE["cases"]["configMap"] | {"digest": read_cases(CASES.encode()).digest}}}
    (tmp_path / "cases.jsonl").write_text(CASES)
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"apiVersion": "sluice.dev/v1alpha1", "kind": "ScoringSuite", "spec": suite}))
    return tmp_path


@asynccontextmanager
async def started(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`sluice score` with these arguments; killed at the end if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from sluice.cli import main; main()", "score", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ | environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def compared(files: Path, candidate: str, baseline: str, *more: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a comparison at a desk."""
    suite, cases = str(files / "suite.yaml"), str(files / "cases.jsonl")
    async with started("--once", "--suite", suite, "--cases", cases, "--candidate", candidate, "--baseline", baseline, "--margin", "0.05", *more) as process:
        output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


@pytest.mark.parametrize(("share", "decision", "code"), [(1.0, "Promote", 0), (0.7, "RollBack", 1)])
async def test_a_desk_gets_the_decision_as_an_exit_code(files: Path, share: float, decision: str, code: int) -> None:
    async with ModelServer(right(share)) as candidate, ModelServer(right(1.0)) as baseline:
        exit_code, output, errors = await compared(files, candidate.address, baseline.address, "-o", "json")
    assert exit_code == code, errors
    told = json.loads(output)
    assert told["decision"] == decision
    assert {(metric["name"], metric["slice"]) for metric in told["metrics"]} == {("accuracy", "all"), ("accuracy", "region=DACH"), ("accuracy", "region=EMEA")}
    assert told["sums"]["candidate"]["Asked"] == 200
    assert told["sums"]["baseline"]["Asked"] == 260
    assert told["metrics"][0]["noise"] == 0


async def test_one_hit_of_a_gate_rolls_back_whatever_the_scores_are(files: Path) -> None:
    async with ModelServer(right(0.99, word="canary-5f0c1d2e3b4a59687f")) as candidate, ModelServer(right(0.99)) as baseline:
        exit_code, output, _ = await compared(files, candidate.address, baseline.address)
    assert exit_code == 1
    assert output.splitlines()[-1].startswith("RollBack (GateHit)")


async def test_a_baseline_that_is_not_there_proves_nothing(files: Path) -> None:
    async with ModelServer(right(1.0)) as candidate, ModelServer(answer({}, status=503)) as baseline:
        exit_code, output, _ = await compared(files, candidate.address, baseline.address, "--planned", "50")
    assert exit_code == 3
    assert "Inconclusive" in output.splitlines()[-1]


async def test_samples_of_a_desk_run_are_where_it_was_told(files: Path) -> None:
    async with ModelServer(right(1.0)) as side:
        _, output, _ = await compared(files, side.address, side.address, "-o", "json", "--planned", "30", "--samples", str(files / "samples.jsonl"))
    assert len((files / "samples.jsonl").read_text().splitlines()) == 30
    assert json.loads(output)["samples"][0]["uri"] == (files / "samples.jsonl").as_uri()


def plan_of(files: Path, candidate: str, baseline: str) -> Plan:
    """Write the plan of two shards beside the cases."""
    plan = plan_run(
        SuiteSpec.model_validate(SUITE), read_cases(CASES.encode()), run="payments/churn-2-1-0-1", candidate=candidate, baseline=baseline, seed=5,
        planned=200, minimum=None, shards=2, end_token="a-token-of-the-run",
    )  # fmt: skip
    (files / "plan.json").write_bytes(plan.as_json())
    return plan


@asynccontextmanager
async def shard_of(files: Path, *flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, aiohttp.ClientSession]]:
    """Shard 1 as a Job starts it, when it listens, and a client of it."""
    async with started(
        "--plan", str(files / "plan.json"), "--cases", str(files / "cases.jsonl"), "--listen", "127.0.0.1:0", *flags, JOB_COMPLETION_INDEX="1"
    ) as process:
        assert process.stderr is not None
        while b" listens on " not in (line := await process.stderr.readline()):
            assert line, "it ended before it listened"
        port = line.rsplit(b":", 1)[1].strip().decode()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield process, session


async def test_a_shard_serves_what_it_counted_and_stays_until_it_is_ended(files: Path) -> None:
    async with ModelServer(right(0.9)) as candidate, ModelServer(right(1.0)) as baseline:
        plan = plan_of(files, candidate.address, baseline.address)
        async with shard_of(files) as (process, session), asyncio.timeout(60):

            async def told() -> ShardStatistics:
                async with session.get("/v1/statistics") as response:
                    return read_statistics(await response.read(), plan.expected(1))

            while not (statistics := await told()).finished:  # noqa: ASYNC110 - a server does not call back
                await asyncio.sleep(0.05)
            assert statistics.scored == 100
            assert process.returncode is None
            async with session.post("/v1/end", headers={"Authorization": f"Bearer {plan.end_token}"}) as response:
                assert response.status == 202
            assert await process.wait() == 0


async def test_a_shard_shows_what_every_answer_was_to_who_has_the_token(files: Path) -> None:
    async with ModelServer(right(0.9)) as side:
        plan = plan_of(files, side.address, side.address)
        async with shard_of(files, "--samples", str(files / "samples.jsonl")) as (_, session), asyncio.timeout(60):
            async with session.get("/v1/samples", headers={"Authorization": "Bearer another"}) as response:
                assert response.status == 403
            async with session.head("/v1/samples", headers={"Authorization": f"Bearer {plan.end_token}"}) as response:
                assert response.status == 405
            lines: list[bytes] = []
            while len(lines) < 100:
                async with session.get("/v1/samples", headers={"Authorization": f"Bearer {plan.end_token}"}) as response:
                    assert response.status == 200
                    lines = (await response.read()).splitlines()
                await asyncio.sleep(0.02)
            assert [json.loads(line)["rank"] for line in lines] == list(range(1, 200, 2))


async def test_a_shard_without_samples_says_so(files: Path) -> None:
    async with ModelServer(right(0.9)) as side:
        plan = plan_of(files, side.address, side.address)
        headers = {"Authorization": f"Bearer {plan.end_token}"}
        async with shard_of(files) as (_, session), asyncio.timeout(60), session.get("/v1/samples", headers=headers) as response:
            assert response.status == 404


async def test_a_shard_that_cannot_use_its_cases_ends_at_once_and_says_why_last(files: Path) -> None:
    plan_of(files, "http://127.0.0.1:1", "http://127.0.0.1:1")
    (files / "cases.jsonl").write_text(CASES + "{}\n")
    async with started("--plan", str(files / "plan.json"), "--cases", str(files / "cases.jsonl"), "--listen", "127.0.0.1:0") as process:
        _, told = await process.communicate()
    assert process.returncode == 65
    assert told.decode().splitlines()[-1] == "line 201: has no 'id'; a case needs an id and an input"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_shard_at_once_and_as_one_to_be_scored_again(files: Path, number: signal.Signals) -> None:
    async with ModelServer(forever()) as silent:
        plan_of(files, silent.address, silent.address)
        async with shard_of(files) as (process, _), asyncio.timeout(10):
            process.send_signal(number)
            assert await process.wait() == 143


async def test_an_end_before_everything_is_scored_is_no_success(files: Path) -> None:
    async with ModelServer(forever()) as silent:
        plan = plan_of(files, silent.address, silent.address)
        async with shard_of(files) as (process, session), asyncio.timeout(10):
            async with session.post("/v1/end", headers={"Authorization": f"Bearer {plan.end_token}"}) as response:
                assert response.status == 202
            assert await process.wait() == 143
