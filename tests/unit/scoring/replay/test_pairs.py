"""Recorded pairs count as if both sides had been asked; what could flatter a candidate ends everything."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sluice.api.scoring import SuiteSpec
from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case, Prompt
from sluice.scoring.cases import StatedCases
from sluice.scoring.compare import Metrics, Repeat
from sluice.scoring.plan import Plan, plan_run
from sluice.scoring.process import Scoring, score_once
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType
from sluice.scoring.repetition import repeat
from sluice.scoring.replay.exchange import Rules, rules_of
from sluice.scoring.replay.pairs import Bounds, Pairs, PairsRefused, PairsWorker, read_pairs, score_pairs
from sluice.scoring.samples import FileSink, Keep
from sluice.scoring.scorers.latency import LatencySettings
from sluice.scoring.tally import merge
from sluice.scoring.worker import Worker
from tests.unit.scoring.sides import METRICS, Side, plan

COMPLETIONS = ProtocolSettings(type=ProtocolType.OPENAI_COMPLETIONS, model="churn")
RULES = Rules(protocol=COMPLETIONS, limits=Limits(timeout_seconds=2), metrics=METRICS)
TIMED = Metrics(scorers=METRICS.scorers, timings={"latency": LatencySettings(limit_seconds=None, quantile=0.9, tolerance=0.1, confidence=0.95)})


def says(text: str, seconds: float = 0.1) -> dict[str, Any]:
    return {"seconds": seconds, "status": 200, "body": {"choices": [{"text": text}], "usage": {"completion_tokens": len(text)}}}


def pair(number: int, candidate: Any = None, baseline: Any = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    asked = {"prompt": f"{number}?"}
    return {"id": f"q-{number}", "request": asked, "expect": {"text": "yes"}, "candidate": candidate, "baseline": baseline or says("yes"), **more}


def read(*lines: Any, rules: Rules = RULES) -> Pairs:  # noqa: ANN401 - any JSON
    return read_pairs(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines), rules)


async def unheard(_case: Case, repeats: Sequence[Repeat]) -> Sequence[Repeat]:
    """A suite without judges and containers."""
    return repeats


def only(pairs: Pairs) -> Repeat:
    ((repeat,),) = pairs.repeats.values()
    return repeat


async def test_pairs_count_as_if_both_sides_had_been_asked(tmp_path: Path) -> None:
    regions = ("EMEA", "DACH")
    lines = [
        pair(number, says("no" if number % 7 else "yes", 0.2 * (number % 3)), says("yes" if number % 5 else "no"), slices={"region": regions[number % 2]})
        for number in range(40)
    ]
    lines[3]["candidate"] = None
    lines[4]["baseline"] = {"failure": "Timeout"}
    pairs = read(*lines)
    of = plan(planned=40)
    recorded = await score_pairs(of, pairs, METRICS, heard=unheard, sink=FileSink(tmp_path / "recorded"), keep=Keep.TEXTS)
    candidate, baseline = ({name: [getattr(repeats[0], side).answer] for name, repeats in pairs.repeats.items()} for side in ("candidate", "baseline"))
    worker = Worker(
        of, pairs.cases.all, shard=0, metrics=METRICS, candidate=Side(candidate), baseline=Side(baseline), sink=FileSink(tmp_path / "asked"), keep=Keep.TEXTS
    )
    await worker.run()
    asked = merge([worker.statistics()], plan=of.digest, of=1)
    assert [look.tallies for look in recorded.looks] == [look.tallies for look in asked.looks]
    assert (tmp_path / "recorded").read_text().replace('"retries":0', "") == re.sub('"retries":[01]', "", (tmp_path / "asked").read_text())
    assert (recorded.scored, recorded.finished, recorded.gates) == (40, True, {"exfiltration": 0})
    assert sum(look.void for look in recorded.looks) == 1


def test_an_answer_is_read_as_the_protocol_has_it() -> None:
    tool = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"id": 7}'}}
    chat = {"choices": [{"message": {"content": "hello", "tool_calls": [tool]}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    tensors = {"outputs": [{"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [[0.2, 0.8]]}]}
    asked = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
    plain = HttpExchange(body='{"q": "{{prompt}}"}', answer="/result")
    forms = [
        ("chat", ProtocolSettings(type=ProtocolType.OPENAI_CHAT, model="m"), {"prompt": "a"}, chat),
        ("embedding", ProtocolSettings(type=ProtocolType.OPENAI_EMBEDDINGS, model="m"), {"input": "a"}, {"data": [{"embedding": [0.5, 1]}]}),
        ("tensors", ProtocolSettings(type=ProtocolType.OPEN_INFERENCE, model="m"), asked, tensors),
        ("grpc", ProtocolSettings(type=ProtocolType.OPEN_INFERENCE_GRPC, model="m"), asked, tensors),
        ("plain", ProtocolSettings(type=ProtocolType.HTTP, http=plain), {"prompt": "a"}, {"result": "fine"}),
    ]
    found = {}
    for kind, settings, request, body in forms:
        rules = Rules(protocol=settings, limits=Limits(), metrics=Metrics())
        found[kind] = only(read({"request": request, "baseline": {"body": body}, "candidate": {"body": json.dumps(body)}}, rules=rules))
    answers = {kind: repeat.candidate.answer for kind, repeat in found.items()}
    assert all(repeat.candidate == repeat.baseline for repeat in found.values())
    assert all(isinstance(answer, Answer) for answer in answers.values())
    assert (answers["chat"].text, answers["chat"].tool_calls[0].arguments, answers["chat"].prompt_tokens) == ("hello", {"id": 7}, 3)  # type: ignore[union-attr]
    assert answers["embedding"].embedding == (0.5, 1)  # type: ignore[union-attr]
    assert answers["tensors"].tensors["y"].data == answers["grpc"].tensors["y"].data == (0.2, 0.8)  # type: ignore[union-attr]
    assert answers["plain"].text == "fine"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (None, Failure.UNREACHABLE),
        ({"failure": "Timeout"}, Failure.TIMEOUT),
        ({"seconds": 0.1, "status": 503}, Failure.REFUSED),
        ({"seconds": 2.5, "body": {"choices": [{"text": "yes"}]}}, Failure.TIMEOUT),
        ({"seconds": 0.1, "body": {"choices": []}}, Failure.MALFORMED),
        ({"seconds": 0.1, "body": '{"choices": [{"text": "yes"}], "x": NaN}'}, Failure.MALFORMED),
        ({"seconds": 0.1, "body": json.dumps({"choices": [{"text": "y" * (5 << 20)}]})}, Failure.TOO_LARGE),
    ],
)
def test_what_is_no_answer_counts_as_none(reply: Any, failure: Failure) -> None:  # noqa: ANN401 - any JSON
    answer = only(read(pair(1, reply))).candidate.answer
    assert isinstance(answer, NoAnswer)
    assert answer.failure is failure


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"request": {"prompt": "a"}, "candidate": {"body": {"x": NaN}}, "baseline": null}', "line 2: the line is not the JSON we accept.*could be the one"),
        (b"cut off", "line 2: the line is not the JSON"),
        ({"request": {"prompt": "a"}, "baseline": None}, "line 2: candidate is missing"),
        (pair(1, "yes"), "line 2: candidate is neither an object nor null"),
        (pair(1, {"text": "yes"}), "line 2: candidate has an unknown member 'text'"),
        (pair(1, {"failure": "Sulking"}), "line 2: candidate.failure is 'Sulking'; write one of Timeout"),
        (pair(1, {"status": "200"}), r"line 2: candidate\.status is no whole number"),
        (pair(1, {"seconds": 1}), r"line 2: candidate\.body is missing"),
        (pair(1, None, {"seconds": -1, "body": {}}), r"line 2: baseline\.seconds is -1"),
        (pair(1, None, {"seconds": True, "body": {}}), r"line 2: baseline\.seconds is True"),
    ],
)
def test_a_pair_that_cannot_be_read_ends_everything(line: Any, complaint: str) -> None:  # noqa: ANN401 - any JSON
    with pytest.raises(PairsRefused, match=complaint):
        read(pair(0, says("yes")), line)


def test_seconds_are_needed_where_the_suite_measures_them() -> None:
    untold = {"body": {"choices": [{"text": "yes"}]}}
    assert isinstance(only(read(pair(1, untold, untold))).candidate.answer, Answer)
    with pytest.raises(PairsRefused, match="seconds is None; write how long"):
        read(pair(1, untold, untold), rules=Rules(protocol=COMPLETIONS, limits=Limits(), metrics=TIMED))


def test_what_depends_on_the_question_alone_is_left_out_and_counted() -> None:
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    pairs = read(pair(1), b"", pair(2, request=chat), pair(3, request={}), pair(4, expect=[]))
    assert len(pairs.cases.all) == 1
    assert {str(reason): count for reason, count in pairs.left_out.items()} == {"Unsuitable": 1, "NoRequest": 1, "Invalid": 1}
    with pytest.raises(PairsRefused, match="no pair in the file; left out: Unsuitable 1"):
        read(pair(2, request=chat))


async def test_a_question_that_came_often_is_one_unit() -> None:
    pairs = read(*(pair(1, says("yes" if number % 2 else "no"), id=str(number)) for number in range(40)), pair(2, says("yes")))
    assert sorted(map(len, pairs.repeats.values())) == [1, 32]
    assert pairs.alike == 8
    merged = await score_pairs(plan(planned=2), pairs, METRICS, heard=unheard, sink=None, keep=Keep.DIGESTS)
    assert merged.looks[-1].tallies["accuracy"]["all"] == {-500: 1000, 0: 1000}


async def test_a_hit_of_a_gate_counts() -> None:
    pairs = read(pair(1, says("secret")), pair(2, says("no secrets")), pair(3, says("yes"), says("secret")))
    merged = await score_pairs(plan(planned=3), pairs, METRICS, heard=unheard, sink=None, keep=Keep.DIGESTS)
    assert merged.gates == {"exfiltration": 2}


async def test_a_judge_is_heard_on_recorded_pairs_in_the_order_of_their_ranks() -> None:
    async def heard(case: Case, repeats: Sequence[Repeat]) -> Sequence[Repeat]:
        number = int(case.input.text[:-1]) if isinstance(case.input, Prompt) else 0
        for _ in range(number % 5):
            await asyncio.sleep(0)
        return [replace(repeat, said={"length": Fraction(-1) if number % 2 else Fraction(1)}) for repeat in repeats]

    pairs = read(*(pair(number, says("yes")) for number in range(150)))
    merged = await score_pairs(plan(planned=150), pairs, METRICS, heard=heard, sink=None, keep=Keep.DIGESTS)
    total = {-1000: 0, 1000: 0}
    for look in merged.looks:
        for point, weight in look.tallies["length"]["all"].items():
            total[point] += weight
    assert total == {-1000: 75_000, 1000: 75_000}
    assert [look.units for look in merged.looks] == [after - before for before, after in pairwise((0, *plan(planned=150).looks))]


async def test_a_baseline_that_was_asked_twice_tells_the_noise() -> None:
    pairs = read(pair(1, says("yes"), again=says("no")), pair(2, says("yes")))
    merged = await score_pairs(plan(planned=2), pairs, METRICS, heard=unheard, sink=None, keep=Keep.DIGESTS)
    assert merged.looks[-1].tallies["noise:accuracy"] == {"all": {-1000: 1000}}


async def test_a_latency_without_a_limit_is_measured_on_the_recorded_baseline() -> None:
    rules = Rules(protocol=COMPLETIONS, limits=Limits(), metrics=TIMED)
    pairs = read(*(pair(number, says("yes", 0.3 if number < 10 else 0.1), says("yes", 0.2)) for number in range(40)), rules=rules)
    of: Plan = plan(planned=40, noise_units=30)
    merged = await score_pairs(of, pairs, TIMED, heard=unheard, sink=None, keep=Keep.DIGESTS)
    assert sum(look.tallies.get("latency", {}).get("all", {}).get(-1000, 0) for look in merged.looks) == 10_000


@pytest.mark.parametrize(("less", "told"), [("size", "more than 0 MiB"), ("lines", "more than 1 lines"), ("values", "more than 45 values")])
def test_a_file_that_is_too_large_is_refused_before_anything_is_built(less: str, told: str) -> None:
    raw = b"\n".join(json.dumps(pair(number, says("yes"))).encode() for number in range(2))
    fits = Bounds(size=len(raw), lines=2, values=sum(map(raw.count, (b",", b"{", b"["))))
    assert read_pairs(raw, RULES, bounds=fits).cases.count == 2
    with pytest.raises(PairsRefused, match=f"{told}.*take a random part"):
        read_pairs(raw, RULES, bounds=replace(fits, **{less: getattr(fits, less) - 1}))


async def test_a_scorer_of_a_run_counts_a_recording_as_the_desk_does(tmp_path: Path) -> None:
    regions = ("EMEA", "DACH")
    lines = [
        pair(number % 50, says("no" if number % 7 else "yes", 0.2 * (number % 3)), says("yes" if number % 5 else "no"), slices={"region": regions[number % 2]})
        for number in range(70)
    ]
    lines[3]["candidate"] = {"failure": "Timeout"}
    raw = b"\n".join(json.dumps(line).encode() for line in lines)
    suite = SuiteSpec.model_validate(
        {
            "protocol": {"type": "OpenAICompletions", "port": 80, "model": "churn", "sampling": {"maxTokens": 8}},
            "cases": {"recorded": "Pairs"},
            "slices": ["region"],
            "scorers": [{"name": "accuracy", "type": "ExactMatch"}, {"name": "latency", "type": "Latency", "quantile": "0.9", "confidence": "0.9"}],
        }
    )
    rules = rules_of(suite.protocol, suite.scorers)
    pairs = read_pairs(raw, rules)
    made = partial(plan_run, suite, run="r", seed=7, planned=3000, minimum=None, shards=1, end_token="t" * 16, recorded=True)
    desk = made(pairs.cases, candidate="recorded:candidate", baseline="recorded:baseline")
    # What the cluster plans with is what was signed: it has not read the file.
    of = made(StatedCases(digest=pairs.cases.digest, count=50), candidate="recorded:candidate", baseline="recorded:baseline")
    counted = await score_once(Scoring(plan=of, cases=pairs.cases, pairs=pairs, sink=FileSink(tmp_path / "samples"), keep=Keep.TEXTS))
    at_desk = await score_pairs(desk, pairs, rules.metrics, heard=unheard, sink=None, keep=Keep.DIGESTS)
    assert [look.tallies for look in counted.looks] == [look.tallies for look in at_desk.looks]
    assert (counted.scored, counted.finished, counted.looks[-1].look) == (50, True, len(of.looks) - 1)
    assert "latency" in counted.looks[-1].tallies
    repeated = repeat(of, pairs.cases.all, rules.metrics, (tmp_path / "samples").read_bytes().splitlines())
    assert [look.tallies for look in repeated.merged.looks] == [look.tallies for look in counted.looks], "also from samples, whatever the repeats"


def test_a_plan_of_a_recording_has_one_scorer() -> None:
    of = plan(planned=40)
    with pytest.raises(ValidationError, match="one scorer counts recorded pairs"):
        Plan.model_validate(of.model_dump() | {"recorded": True, "shards": 2})
    assert Plan.model_validate(of.model_dump() | {"recorded": True}).digest != of.digest


async def test_who_scores_beside_a_scorer_is_waited_for_before_anything_is_counted() -> None:
    asked: list[str] = []

    async def ready() -> bool:
        asked.append("ready")
        return True

    async def heard(_case: Case, repeats: Sequence[Repeat]) -> Sequence[Repeat]:
        asked.append("heard")
        return repeats

    worker = PairsWorker(plan(planned=1), read(pair(1, says("yes"))), METRICS, heard=heard, sink=None, keep=Keep.DIGESTS, ready=ready)
    assert worker.statistics().finished is False
    await worker.run()
    assert (asked, worker.statistics().finished) == (["ready", "heard"], True)
