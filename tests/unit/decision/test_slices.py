"""A measure of a slice is met by the number of that slice, and the whole by the whole; of several filters all count, unless policy names one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.api.release import Outcome
from sluice.decision.model import Result
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision.test_decide import result_of, verdict_of, with_policy


def scored(*, dach: int, others: int) -> bytes:
    """1,000 cases, 200 of them in one region: so many of each were answered right."""
    header = {"format": "https://sluice.dev/scored-samples/v1", "suite": "churn-core", "tool": {"name": "t", "version": "1"}, "cases": 1000}
    rows = [
        {"id": str(each), "scores": {"acc": float(each < dach or 200 <= each < 200 + others)}, "slices": {"region": "DACH" if each < 200 else "UK"}}
        for each in range(1000)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in (header, *rows))


def outcome(raw: bytes, **measure: Any) -> tuple[Outcome, Reason]:  # noqa: ANN401 - fields of a measure
    result = quality(raw, **measure)
    return result.outcome, result.reason


def quality(raw: bytes, **measure: Any) -> Result:  # noqa: ANN401 - fields of a measure
    world = c.verified_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="evaluation"))
    bundle = c.sign(c.evaluation_statement(c.weights_digest(), "samples.jsonl", raw), identity=c.EVALUATOR)
    world.put("ReleaseEvidence", c.evidence("other", bundle, {"samples.jsonl": raw}))
    spec = c.policy_spec()
    spec["requirements"][2]["measures"] = [{"suite": "churn-core", "metric": "acc", "atLeast": "0.85"} | measure]
    return result_of(verdict_of(with_policy(world, spec)), "quality")


GOOD, BAD = 190, 150


@pytest.mark.parametrize(
    ("dach", "others", "measure", "expected"),
    [
        (GOOD, 760, {}, Outcome.SATISFIED),
        (GOOD, 760, {"slice": "region=DACH"}, Outcome.SATISFIED),
        (BAD, 790, {}, Outcome.SATISFIED),
        (BAD, 790, {"slice": "region=DACH"}, Outcome.FAILED),
        (BAD, 790, {"slice": "region=UK"}, Outcome.SATISFIED),
        (GOOD, 560, {}, Outcome.FAILED),
        (GOOD, 560, {"slice": "region=DACH"}, Outcome.SATISFIED),
    ],
)
def test_neither_a_slice_stands_for_the_whole_nor_the_whole_for_a_slice(dach: int, others: int, measure: dict[str, str], expected: Outcome) -> None:
    assert outcome(scored(dach=dach, others=others), **measure)[0] is expected


def test_a_slice_that_no_evaluation_has_is_missing_by_name() -> None:
    assert outcome(scored(dach=GOOD, others=760), slice="region=FR") == (Outcome.MISSING, Reason.MeasureMissing)


def test_a_slip_in_a_name_is_seen_beside_what_the_run_has() -> None:
    result = quality(scored(dach=GOOD, others=760), metric="accuracy")
    assert result.message == (
        "no evaluation has accuracy of churn-core; it has acc of churn-core, acc of churn-core where region=DACH, acc of churn-core where region=UK"
    )


def with_filters(strict: float, flexible: float) -> bytes:
    """A run of lm-eval that took answers out of the model's text in two ways."""
    document = json.loads(c.lm_eval_results("churn-core", "acc", strict, 1000))
    document["results"]["churn-core"] = {"acc,strict-match": strict, "acc,flexible-extract": flexible}
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("strict", "flexible", "metric", "expected"),
    [
        (0.95, 0.95, "acc", Outcome.SATISFIED),
        (0.50, 0.95, "acc", Outcome.FAILED),
        (0.95, 0.50, "acc", Outcome.FAILED),
        (0.50, 0.95, "acc,flexible-extract", Outcome.SATISFIED),
        (0.50, 0.95, "acc,strict-match", Outcome.FAILED),
        (0.95, 0.95, "acc,none", Outcome.MISSING),
    ],
)
def test_nobody_picks_the_filter_but_policy(strict: float, flexible: float, metric: str, expected: Outcome) -> None:
    assert outcome(with_filters(strict, flexible), metric=metric)[0] is expected
