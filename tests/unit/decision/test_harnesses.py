"""A raw file of each tool, attached to signed evidence, meets what a policy asks of it, and a run that was cut short meets nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sluice.api.release import Outcome
from sluice.decision.model import Result
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision.test_decide import result_of, verdict_of, with_policy
from tests.unit.evidence import test_garak

FILES = Path(__file__).parents[1] / "evidence" / "files"
INSPECT = (FILES / "inspect-0.3.285.eval").read_bytes()
PROMPTFOO = (FILES / "promptfoo-0.123.1.json").read_bytes()
GARAK = gzip.compress(test_garak.raw(test_garak.report()))
PASSED = f"{test_garak.DETECTOR}/passed"


def quality(name: str, raw: bytes, **measure: str) -> Result:
    """What the requirement comes to with the one measure and the one file."""
    world = c.verified_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="evaluation"))
    bundle = c.sign(c.evaluation_statement(c.weights_digest(), name, raw), identity=c.EVALUATOR)
    world.put("ReleaseEvidence", c.evidence("other", bundle, {name: raw}))
    spec = c.policy_spec()
    spec["requirements"][2]["measures"] = [measure]
    return result_of(verdict_of(with_policy(world, spec)), "quality")


@pytest.mark.parametrize(
    ("name", "raw", "suite", "metric", "part"),
    [
        ("log.eval", INSPECT, "sums", "match", "region=UK"),
        ("results.json", PROMPTFOO, "support-answers", "pass", "region=DACH"),
        ("garak.report.jsonl.gz", GARAK, test_garak.PROBE, PASSED, "language=fr"),
    ],
)
def test_policy_may_ask_for_numbers_and_slices_of_each_tool(name: str, raw: bytes, suite: str, metric: str, part: str) -> None:
    asked = {"suite": suite, "metric": metric}
    assert quality(name, raw, **asked, atLeast="0.05").outcome is Outcome.SATISFIED
    assert quality(name, raw, **asked, slice=part, atLeast="0.05").outcome is Outcome.SATISFIED
    assert quality(name, raw, **asked, atLeast="0.95").reason is Reason.ThresholdMissed
    assert quality(name, raw, **asked, slice="region=FR", atLeast="0.05").reason is Reason.MeasureMissing


def test_a_run_that_was_cut_short_is_refused_and_the_release_says_so() -> None:
    cut = gzip.compress(test_garak.raw([line for line in test_garak.report() if line["entry_type"] != "completion"]))
    result = quality("garak.report.jsonl.gz", cut, suite=test_garak.PROBE, metric=PASSED, atLeast="0.05")
    assert result.reason is Reason.EvidenceRefused
    assert "RunIncomplete" in result.message
    assert "garak was stopped" in result.message
