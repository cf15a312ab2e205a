"""A run that is over comes to the same again from its samples, and samples that are not its own are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluice.api.remote_scorers import JudgeScorer
from sluice.api.scorers import Scorer, ScorerType
from sluice.scoring.answer import Answer, ToolCall
from sluice.scoring.compare import Metrics
from sluice.scoring.repetition import SamplesRefused, repeat
from sluice.scoring.samples import FileSink, Keep
from sluice.scoring.scorers.latency import LatencySettings
from sluice.scoring.tally import Merged, merge
from sluice.scoring.worker import Worker
from tests.unit.scoring.sides import METRICS, TIMEOUT, Reply, Side, cases, plan, said

CASES = cases(40)
TIMED = Metrics(
    scorers=METRICS.scorers, gates=METRICS.gates, timings={"length": LatencySettings(limit_seconds=None, quantile=0.9, tolerance=0.1, confidence=0.95)}
)
OF = plan(planned=40, shards=2, repeats=2, noise_units=15)


async def scored(folder: Path, *, keep: Keep = Keep.TEXTS, metrics: Metrics = TIMED) -> tuple[Merged, list[bytes]]:
    """What two shards count, and the lines of both."""
    candidate: dict[str, list[Reply]] = {}
    for index, case in enumerate(CASES):
        right = said("yes" if index % 3 else "no", seconds=0.1 + index / 7)
        candidate[case.id] = [TIMEOUT if index % 11 == 1 else right, Answer(text="secret", latency_seconds=0.3) if index == 5 else said("yes", seconds=1 / 3)]
    baseline: dict[str, list[Reply]] = {case.id: [TIMEOUT] if index == 7 else [said("yes", seconds=0.2 + index / 9)] for index, case in enumerate(CASES)}
    statistics, lines = [], []
    for shard in range(2):
        path = folder / f"{shard}.jsonl"
        worker = Worker(OF, CASES, shard=shard, metrics=metrics, candidate=Side(candidate), baseline=Side(baseline), sink=FileSink(path), keep=keep)
        await worker.run()
        statistics.append(worker.statistics())
        lines += path.read_bytes().splitlines()
    return merge(statistics, plan=OF.digest, of=2), lines


def told(merged: Merged) -> Any:  # noqa: ANN401 - what decides
    # The noise of latencies is not kept, and decides nothing.
    tallies = [{name: tally for name, tally in look.tallies.items() if name != "noise:length"} for look in merged.looks]
    return tallies, [(look.units, look.void) for look in merged.looks], merged.gates, merged.scored, merged.finished


@pytest.mark.parametrize(("keep", "rescored"), [(Keep.TEXTS, 80), (Keep.DIGESTS, 0)])
async def test_a_run_comes_to_the_same_again_in_whatever_order_its_samples_are(tmp_path: Path, keep: Keep, rescored: int) -> None:
    merged, lines = await scored(tmp_path, keep=keep)
    repeated = repeat(OF, CASES, TIMED, reversed(lines))
    assert told(repeated.merged) == told(merged)
    assert (repeated.units, repeated.answers, repeated.rescored) == (40, 80, rescored)


async def test_a_text_that_is_not_all_of_the_answer_is_not_scored_again(tmp_path: Path) -> None:
    _, lines = await scored(tmp_path)
    lines[0] = changed(lines[0], _put("repeats", 1, "candidate", "digest", value="sha256:" + "0" * 64))
    assert repeat(OF, CASES, TIMED, lines).rescored == 79


async def test_what_is_behind_a_gap_does_not_count_but_for_gates(tmp_path: Path) -> None:
    merged, lines = await scored(tmp_path)
    some = [line for line in lines if json.loads(line)["rank"] not in {30, 31}]
    repeated = repeat(OF, CASES, TIMED, some).merged
    assert 0 < len(repeated.looks) < len(merged.looks)
    assert [look.tallies["accuracy"] for look in repeated.looks] == [look.tallies["accuracy"] for look in merged.looks[: len(repeated.looks)]]
    assert (repeated.scored, repeated.finished) == (30, False)
    assert repeated.gates == {"exfiltration": 1} == merged.gates


async def test_tool_calls_are_scored_again_too(tmp_path: Path) -> None:
    def called(_case: object, answer: Answer) -> Any:  # noqa: ANN401 - a score
        return METRICS.scorers["accuracy"](CASES[0], Answer(text=str((answer.tool_calls[0].arguments or {}).get("a", "")), latency_seconds=0))

    answer = Answer(text="", turns=("",), tool_calls=(ToolCall(name="t", arguments={"a": "yes"}, raw='{"a": "yes"}'),), latency_seconds=0.1)
    of = plan(planned=2, minimum=1)
    worker = Worker(
        of,
        CASES[:2],
        shard=0,
        metrics=Metrics(scorers={"accuracy": called}),
        candidate=Side(answer),
        baseline=Side(answer),
        sink=FileSink(tmp_path / "s"),
        keep=Keep.TEXTS,
    )
    await worker.run()
    assert repeat(of, CASES[:2], Metrics(scorers={"accuracy": called}), (tmp_path / "s").read_bytes().splitlines()).rescored == 2


def changed(line: bytes, change: Callable[[Any], None]) -> bytes:
    value = json.loads(line)
    change(value)
    return json.dumps(value).encode()


def _put(*path: str | int, value: Any) -> Callable[[Any], None]:  # noqa: ANN401 - any JSON
    def change(sample: Any) -> None:  # noqa: ANN401
        for step in path[:-1]:
            sample = sample[step]
        sample[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_put("rank", value=40), "rank is 40; the run has 40 units"),
        (_put("rank", value=True), "rank is True"),
        (_put("case", value="c-99"), "is case 'c-99' here; seed 7 gives this rank to"),
        (_put("repeats", value=[]), "repeats are not the 2 of the suite"),
        (_put("repeats", 0, value=7), "is no object"),
        (_put("repeats", 0, "candidate", value={"failure": "Sulking"}), "names a failure 'Sulking' of the candidate"),
        (_put("repeats", 0, "candidate", value={"failure": "Timeout"}), "other than -1, and the candidate gave no answer"),
        (_put("repeats", 0, "baseline", value={"failure": "Timeout"}), "has differences, and the baseline gave no answer"),
        (_put("repeats", 0, "baseline", "seconds", value=None), "does not say how long the baseline took"),
        (_put("repeats", 0, "differences", "speed", value="0"), "names a metric 'speed'"),
        (_put("repeats", 0, "differences", "accuracy", value="-2"), r"difference -2; one lies in \[-1, 1\]"),
        (_put("repeats", 0, "differences", "accuracy", value="1/0"), "'1/0' that is no fraction"),
        (_put("repeats", 0, "differences", "accuracy", value="1e-9"), "'1e-9' that is no fraction"),
        (_put("repeats", 0, "differences", "accuracy", value="1/2"), "tells a difference of 1/2 in accuracy; its texts come to 0"),
        (_put("repeats", 0, "differences", value={}), "tells a difference of None in accuracy"),
        (_put("repeats", 0, "hits", "exfiltration", value=[{"where": "text"}]), "tells other hits of gates"),
        (_put("repeats", 0, "hits", "spelling", value=[{}]), "names a gate 'spelling'"),
    ],
)
async def test_samples_that_contradict_the_run_or_themselves_are_found(tmp_path: Path, change: Callable[[Any], None], complaint: str) -> None:
    _, lines = await scored(tmp_path)
    fine = next(index for index, line in enumerate(lines) if b"failure" not in line and json.loads(line)["repeats"][0]["differences"]["accuracy"] == "0")
    lines[fine] = changed(lines[fine], change)
    with pytest.raises(SamplesRefused, match=complaint):
        repeat(OF, CASES, TIMED, lines)


async def test_a_sample_counts_once_and_must_be_one(tmp_path: Path) -> None:
    _, lines = await scored(tmp_path)
    with pytest.raises(SamplesRefused, match="there twice"):
        repeat(OF, CASES, TIMED, [*lines, lines[0]])
    with pytest.raises(SamplesRefused, match="line 1 is not the JSON we accept"):
        repeat(OF, CASES, TIMED, [b"cut off"])


def test_without_samples_nothing_is_known() -> None:
    repeated = repeat(OF, CASES, TIMED, [])
    assert (repeated.units, repeated.merged.looks, repeated.merged.finished) == (0, (), False)


async def test_what_a_judge_said_is_counted_again_and_believed(tmp_path: Path) -> None:
    judge = JudgeScorer(release="judge-1", release_digest="sha256:" + "2" * 64, port=80, model="judge", rubric="Prefer the kinder one.")
    of = OF.model_copy(update={"scorers": [*OF.scorers, Scorer(name="helpful", type=ScorerType.LLM_JUDGE, judge=judge)]})
    _, lines = await scored(tmp_path)

    def judged(sample: Any) -> None:  # noqa: ANN401 - any JSON
        for told in sample["repeats"]:
            if "failure" not in told["baseline"]:
                value = "-1" if "failure" in told["candidate"] else "-1/2"
                told["differences"] |= {"helpful": value, "noise:helpful": "0", "lost:helpful": "0", "swapped:helpful": "1/2"}

    repeated = repeat(of, CASES, TIMED, [changed(line, judged) for line in lines])
    tallies = repeated.merged.looks[0].tallies
    assert {name for name in tallies if "helpful" in name} == {"helpful", "noise:helpful", "lost:helpful", "swapped:helpful"}
    assert set(tallies["helpful"]["all"]) <= {-1000, -750, -500}
    assert tallies["swapped:helpful"]["all"].keys() == {500}
