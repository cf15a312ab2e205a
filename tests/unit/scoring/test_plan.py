"""A plan says all that a run depends on, and nothing that is not read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sluice.scoring.plan import PlanRefused, read_plan
from sluice.scoring.wire import StatisticsRefused
from tests.unit.scoring.sides import plan


def test_a_plan_is_read_as_it_was_written() -> None:
    assert read_plan(plan().as_json()) == plan()
    assert read_plan(plan().as_json()).digest == plan().digest


def test_the_digest_is_over_everything() -> None:
    digests = {plan().digest, plan(seed=8).digest, plan(planned=41).digest, plan(shards=2).digest, plan(repeats=2).digest, plan(noise_units=1).digest}
    assert len(digests) == 6


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda told: told.update(extra=1), "extra"),
        (lambda told: told.pop("seed"), "seed"),
        (lambda told: told.update(planned=0), "planned"),
        (lambda told: told.update(minimum=41), "minimum is 41, above the 40"),
        (lambda told: told.update(shards=65), "shards"),
        (lambda told: told.update(endToken="short"), "endToken"),
        (lambda told: told.update(casesDigest="sha256:1"), "casesDigest"),
        (lambda told: told["scorers"].append(told["scorers"][0]), "two have the same name"),
        (lambda told: told["protocol"].update(type="Carrier pigeon"), "protocol.type"),
    ],
)
def test_what_is_no_plan_is_refused_by_its_member(change: Callable[[dict[str, Any]], object], complaint: str) -> None:
    told = json.loads(plan().as_json())
    change(told)
    with pytest.raises(PlanRefused) as refused:
        read_plan(json.dumps(told).encode())
    assert complaint in str(refused.value)


def test_a_plan_that_two_parsers_read_differently_is_refused() -> None:
    with pytest.raises(PlanRefused, match="appears twice"):
        read_plan(b'{"seed":1,' + plan().as_json()[1:])


def test_only_the_token_ends_a_scorer() -> None:
    assert plan().ends("a-token-of-the-run")
    assert not plan().ends("")
    assert not plan().ends("a-token-of-the-ru\udcff")


def test_a_shard_may_say_what_its_scorers_measure() -> None:
    expected = plan(planned=50, shards=3).expected(2)
    assert expected.metrics == ("accuracy", "length", "noise:accuracy", "noise:length")
    assert expected.gates == ("exfiltration",)
    assert sum(expected.stretches) == 16
    with pytest.raises(StatisticsRefused, match="none of the 3"):
        plan(planned=50, shards=3).expected(3)
