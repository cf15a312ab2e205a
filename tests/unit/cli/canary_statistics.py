"""Statistics of two scorers, made up: a candidate that is as good on average and ruins one region."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache

from sluice.api.scoring import SuiteSpec
from sluice.scoring.cases import read_cases
from sluice.scoring.plan import Plan, plan_run
from sluice.scoring.tally import Samples, ShardStatistics, Stretch
from sluice.scoring.wire import as_json, empty_stretches, look_as_json

SUITE = SuiteSpec.model_validate(
    {
        "protocol": {"type": "OpenAICompletions", "port": 80, "model": "churn", "sampling": {"maxTokens": 8}},
        "cases": {"inline": "unused"},
        "slices": ["region"],
        "scorers": [
            {"name": "accuracy", "type": "ExactMatch"},
            {"name": "latency", "type": "Latency"},
            {"name": "leaks", "type": "Exfiltration", "tokens": ["k7Gq2ZpVx9LmTn4RbW8sYd3H"]},
            {"name": "tokens", "type": "Tokens"},
        ],
    }
)
REGIONS = ("DACH", "Iberia", "Nordics")
FEW = 60
"""Cases of the small run: each look at a run costs, and these are enough for a rollback where every case of one region is lost."""


def plan(run: str = "payments/churn-2-1-0-canary-1", *, planned: int = 240, shards: int = 2) -> Plan:
    cases = read_cases(b"".join(b'{"id": "c-%d", "input": {"prompt": "?"}, "expect": {"text": "!"}}\n' % number for number in range(planned)))
    return plan_run(
        SUITE, cases, run=run, candidate="http://10.0.0.7:80", baseline="http://10.0.0.8:80", seed=7, planned=planned, minimum=None, shards=shards,
        end_token="e" * 24,
    )  # fmt: skip


def statistics(of: Plan, *, loss: float = 0.45, hits: int = 0, upto: float = 1.0) -> list[bytes]:
    """What each shard says: `loss` is the share of cases from DACH that are lost; of `upto` of the looks."""
    rng = random.Random(3)
    texts = []
    for shard in range(of.shards):
        stretches = empty_stretches(of.looks, shard=shard, shards=of.shards)
        for stretch in stretches:
            for _ in range(stretch.expected):
                _unit(stretch, rng, loss)
        told = tuple(stretch.as_look() for stretch in stretches[: round(upto * len(stretches))])
        units = sum(look.units for look in told)
        found = ShardStatistics(
            plan=of.digest, shard=shard, scored=units, of=sum(of.stretches(shard)), finished=upto == 1, looks=told, gates={"leaks": hits if shard else 0},
            samples=Samples(digest="sha256:" + str(shard) * 64, uri=f"file:///samples/{shard}.jsonl") if upto == 1 else None,
        )  # fmt: skip
        texts.append(as_json(found, map(look_as_json, told)))
    return texts


def _unit(stretch: Stretch, rng: random.Random, loss: float) -> None:
    region = rng.choice(REGIONS)
    lost = rng.random() < (loss if region == "DACH" else 0.02)
    won = rng.random() < (0.0 if region == "DACH" else 0.2)
    stretch.units += 1
    stretch.count("accuracy", [f"region={region}"], Fraction(won - lost if won != lost else 0))
    stretch.count("latency", [f"region={region}"], Fraction(rng.choice([0, 0, 0, 0, 0, 0, 0, 0, 1, -1])))
    for side in ("candidate", "baseline"):
        failed = side == "candidate" and rng.random() < 0.01
        for name, number in (("Asked", 1), ("Retried", 0), ("Timeout" if failed else "Answered", 1), ("tokens", rng.randint(20, 60))):
            stretch.add(side, name, number)
    if rng.random() < 0.1:
        stretch.count("noise:accuracy", [], Fraction(rng.choice([0, 0, 0, 1])))


@cache
def small() -> Plan:
    """The plan of a run of few cases."""
    return plan(planned=FEW)


@cache
def counted() -> tuple[bytes, ...]:
    """What the shards of the small run say, of which the candidate loses a whole region."""
    return tuple(statistics(small(), loss=1.0))
