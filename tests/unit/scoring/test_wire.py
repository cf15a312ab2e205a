"""Statistics from a scorer are believed only as far as the plan goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sluice.scoring.tally import Look, Samples, ShardStatistics
from sluice.scoring.wire import Expected, StatisticsRefused, as_json, look_as_json, read_statistics, stretches

PLAN = "sha256:" + "a" * 64
EXPECTED = Expected(plan=PLAN, shard=0, stretches=(5, 3), metrics=("accuracy", "noise:accuracy"), gates=("exfiltration",))
SUMS = {"candidate": {"Asked": 5, "tokens": 1234}, "baseline": {"Asked": 5}}
LOOK = Look(look=0, units=5, void=1, tallies={"accuracy": {"all": {0: 3000, -334: 667, -333: 333}, "region=DACH": {0: 2000}}}, sums=SUMS)
STATISTICS = ShardStatistics(
    plan=PLAN, shard=0, scored=6, of=8, finished=False, looks=(LOOK,), gates={"exfiltration": 1}, samples=Samples(digest=PLAN, uri="file:///samples.jsonl")
)


def written(statistics: ShardStatistics = STATISTICS) -> bytes:
    return as_json(statistics, map(look_as_json, statistics.looks))


def test_what_is_written_is_read() -> None:
    assert read_statistics(written(), EXPECTED) == STATISTICS
    silent = replace(STATISTICS, why={"candidate": "POST /v1/chat/completions: answered 500: out of memory"})
    assert read_statistics(written(silent), EXPECTED) == silent


def test_why_there_is_no_answer_prints_as_one_line() -> None:
    assert read_statistics(written(replace(STATISTICS, why={"baseline": "answered 500: \x1b[2Ja\nb"})), EXPECTED).why == {"baseline": "answered 500:  [2Ja b"}


def test_statistics_are_one_json_object_as_the_design_note_shows_it() -> None:
    assert json.loads(written()) == {
        "plan": PLAN,
        "shard": 0,
        "scored": 6,
        "of": 8,
        "finished": False,
        "gates": {"exfiltration": 1},
        "samples": {"digest": PLAN, "uri": "file:///samples.jsonl"},
        "looks": [
            {
                "look": 0,
                "units": 5,
                "void": 1,
                "tallies": {"accuracy": {"all": {"0": 3000, "-334": 667, "-333": 333}, "region=DACH": {"0": 2000}}},
                "sums": SUMS,
            }
        ],
    }


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda told: told.update(plan="sha256:" + "b" * 64), "plan is"),
        (lambda told: told.update(shard=1), "shard is 1"),
        (lambda told: told.update(shard=False), "shard is False"),
        (lambda told: told.update(of=9), "of is 9; this shard has 8"),
        (lambda told: told.update(scored=9), "scored is 9"),
        (lambda told: told.update(scored=-1), "scored is -1"),
        (lambda told: told.update(finished=True), "finished, with 1 of 2 looks"),
        (lambda told: told.update(finished=1), "finished is neither"),
        (lambda told: told.update(extra=1), "has members"),
        (lambda told: told.pop("gates"), "has members"),
        (lambda told: told["gates"].update(other=1), "at most 1"),
        (lambda told: told.update(gates={"other": 1}), "gates names 'other'"),
        (lambda told: told["gates"].update(exfiltration=1.5), "gates.exfiltration is 1.5"),
        (lambda told: told["looks"].append(told["looks"][0]), "looks[1].look is 0"),
        (lambda told: told["looks"].extend([told["looks"][0]] * 2), "not a list of at most 2"),
        (lambda told: told["looks"][0].update(units=4), "looks[0].units is 4"),
        (lambda told: told["looks"][0].update(void=6), "looks[0].void is 6"),
        (lambda told: told["looks"][0].update(void=2), "weighs 4000; 3 units"),
        (lambda told: told["looks"][0]["tallies"].update(other={}), "names 'other'"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"].pop("all"), "'all' and at most"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"].update({f"r={n}": {} for n in range(300)}), "at most 255 others"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"].update({"r=" + "x" * 191: {}}), "at most 192 printable"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"].update({"r=\n": {}}), "at most 192 printable"),
        (lambda told: told["looks"][0]["sums"]["candidate"].update({"a b": 1}), "names 'a b'"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"]["all"].update({"0": 2999}), "no whole number of units"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"].update({"region=DACH": {"0": 5000}}), "more than 'all'"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"]["all"].update({"1001": 0}), "difference '1001'"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"]["all"].update({"00": 0}), "difference '00'"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"]["all"].update({"-0": 0}), "difference '-0'"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"]["all"].update({"0": -1000}), "is -1000; a count"),
        (lambda told: told["looks"][0]["tallies"]["accuracy"]["all"].update({"0": True}), "is True; a count"),
        (lambda told: told["looks"][0]["sums"].pop("baseline"), "has members"),
        (lambda told: told["looks"][0]["sums"]["candidate"].update({f"n{n}": 1 for n in range(1100)}), "at most 1024"),
        (lambda told: told["samples"].update(digest="sha256:x"), "samples is not"),
        (lambda told: told.update(why={"judge": "x"}), "why is"),
        (lambda told: told.update(why={"candidate": 1}), "why is"),
        (lambda told: told.update(why={"candidate": "x" * 501}), "why is"),
    ],
)
def test_what_the_plan_cannot_give_is_refused(change: Change, complaint: str) -> None:
    told = json.loads(written())
    change(told)
    with pytest.raises(StatisticsRefused) as refused:
        read_statistics(json.dumps(told).encode(), EXPECTED)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"plan":1,"plan":1}', b"{" * 100])
def test_what_is_no_strict_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(StatisticsRefused):
        read_statistics(raw, EXPECTED)


def test_the_stretches_of_all_shards_are_the_looks() -> None:
    looks = (10, 12, 13, 40)
    parts = [stretches(looks, shard=shard, shards=7) for shard in range(7)]
    assert [sum(column) for column in zip(*parts, strict=True)] == [10, 2, 1, 27]
    assert stretches(looks, shard=2, shards=7) == (2, 0, 0, 4)
