"""A release is held against what was measured of its baseline: by cases where both files have them, over every slice, and without anybody's choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sluice.api.release import Outcome
from sluice.decision.model import Result
from sluice.decision.reasons import Reason
from sluice.decision.world import World
from sluice.provenance.slsa import ROLE_ANNOTATION
from tests.unit.decision import case as c
from tests.unit.decision.test_decide import result_of, verdict_of, with_policy

OLD_WEIGHTS = c.digest_of("the weights of the baseline")
CASES = 1000
BESIDE = {"suite": "churn-core", "metric": "acc", "notWorseThanBaselineBy": "0.02"}
Right = Callable[[int], bool]


def samples(right: Right, *, cases: int = CASES, suite_digest: str | None = None, name: str = "", region: Callable[[int], str] | None = None) -> bytes:
    """So many cases, of which these were answered right; a fifth of them in region DACH."""
    header = {"format": "https://sluice.dev/scored-samples/v1", "suite": "churn-core", "tool": {"name": "t", "version": "1"}, "cases": cases}
    header |= {"suiteDigest": suite_digest} if suite_digest else {}
    where = region or (lambda each: "DACH" if each % 5 == 0 else "UK")
    rows = [{"id": f"{name}{each}", "scores": {"acc": float(right(each))}, "slices": {"region": where(each)}} for each in range(cases)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in (header, *rows))


def means(value: float, *, count: int = CASES, suite_digest: str | None = None, metric: str = "acc") -> bytes:
    """Numbers without cases."""
    document = {"format": "https://sluice.dev/metrics/v1", "suite": "churn-core", "tool": {"name": "t", "version": "1"},
                "cases": {"planned": count, "evaluated": count}, "metrics": [{"name": metric, "value": value, "samples": count}]}  # fmt: skip
    return json.dumps(document | ({"suiteDigest": suite_digest} if suite_digest else {})).encode()


def every(nth: int, *, but: int | None = None) -> Right:
    """All but each n-th case."""
    return lambda each: each % nth != 0 or each == but


def put(world: World, name: str, digest: str, raw: bytes, **signed: Any) -> None:  # noqa: ANN401 - arguments of case.sign
    bundle = c.sign(c.evaluation_statement(digest, "raw", raw), **({"identity": c.EVALUATOR} | signed))
    world.put("ReleaseEvidence", c.evidence(name, bundle, {"raw": raw}))


def baseline_spec() -> dict[str, Any]:
    spec = c.first_release_spec()
    return spec | {"artifacts": [spec["artifacts"][0] | {"uri": None, "digest": OLD_WEIGHTS}, spec["artifacts"][1]]}


def world_of(ours: bytes | None, theirs: bytes | None, *measures: dict[str, Any], change: str = "Retrain") -> World:
    """A release and its baseline, evaluated as these files say, under a policy with these measures."""
    world = c.verified_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="evaluation"))
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, baseline_spec()))
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | {"change": {"type": change, "baseline": {"name": c.BASELINE}}}))
    if theirs is not None:
        put(world, "of-the-baseline", OLD_WEIGHTS, theirs)
    if ours is not None:
        put(world, "of-the-release", c.weights_digest(), ours)
    spec = c.policy_spec()
    spec["requirements"][2]["measures"] = list(measures or (BESIDE,))
    return with_policy(world, spec)


def quality(world: World) -> Result:
    return result_of(verdict_of(world), "quality")


def test_a_release_that_answers_nearly_all_cases_as_its_baseline_does_is_within_the_envelope() -> None:
    result = quality(world_of(samples(every(10)), samples(every(10, but=40))))
    assert (result.outcome, result.reason) == (Outcome.SATISFIED, Reason.NotWorseThanBaseline)
    assert "1,000 pairs, 0 better and 1 worse" in result.message
    assert "0.1% changed" in result.message
    assert len(result.evidence) == 2


def test_pairs_show_what_two_means_cannot() -> None:
    """The same numbers; without the cases, 1,000 of them do not show two points."""
    by_means = quality(world_of(means(0.9), means(0.901)))
    assert (by_means.outcome, by_means.reason) == (Outcome.MISSING, Reason.EvaluationInconclusive)
    assert "not paired" in by_means.message


def test_what_is_neither_shown_nor_refuted_is_held_and_told_how_many_cases_would_decide() -> None:
    result = quality(world_of(means(0.9), means(0.901)))
    enough = int(result.message.partition("about ")[2].partition(" cases would")[0].replace(",", ""))
    assert CASES < enough < 10_000
    assert quality(world_of(means(0.9, count=2 * enough), means(0.901, count=2 * enough))).outcome is Outcome.SATISFIED


def test_a_release_that_is_worse_by_more_than_the_margin_is_refused() -> None:
    result = quality(world_of(samples(every(5)), samples(every(10))))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.WorseThanBaseline)
    assert "0.8000 against 0.9000" in result.message
    assert "policy allows 0.02 at 0.95" in result.message


def test_a_loss_in_one_slice_is_found_though_the_whole_is_within_the_margin() -> None:
    """A slice of a hundred loses 14 of its cases: 1.4 points of the whole."""
    rare: dict[str, Any] = {"region": lambda each: "DACH" if each < 100 else "UK"}
    ours, theirs = samples(lambda each: not (each < 100 and each % 7 == 0), **rare), samples(lambda _: True, **rare)
    assert quality(world_of(ours, theirs, BESIDE | {"notWorseThanBaselineBy": "0.03"})).outcome is Outcome.SATISFIED
    result = quality(world_of(ours, theirs, BESIDE | {"notWorseThanBaselineBy": "0.03", "slices": ["region"]}))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.WorseThanBaseline)
    assert "region=DACH 0.8500 against 1.0000" in result.message
    assert "over 3 comparisons (Holm)" in result.message


def test_slices_are_those_of_the_baseline_so_that_none_can_be_left_out() -> None:
    everywhere = samples(every(10), region=lambda _: "UK")
    result = quality(world_of(everywhere, samples(every(10)), BESIDE | {"slices": ["region"]}))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.MeasureMissing)
    assert "where region=DACH" in result.message


def test_slices_within_the_margin_are_counted_in_the_message() -> None:
    result = quality(world_of(samples(every(10)), samples(every(10)), BESIDE | {"slices": ["region"], "notWorseThanBaselineBy": "0.05"}))
    assert result.outcome is Outcome.SATISFIED
    assert "and so each alone in 2 slices" in result.message


def test_a_baseline_without_the_fields_that_slices_name_is_told_by_them() -> None:
    """Its metric is there, and who reads only of the metric looks in vain for what is missing."""
    result = quality(world_of(samples(every(10)), samples(every(10)), BESIDE | {"slices": ["region", "group"]}))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.BaselineNotMeasured)
    assert "has acc of churn-core by region and group" in result.message


def test_what_is_inconclusive_says_over_how_many_comparisons_it_has_to_be_shown() -> None:
    few = samples(every(10), cases=300)
    result = quality(world_of(few, few, BESIDE | {"slices": ["region"]}))
    assert result.reason is Reason.EvaluationInconclusive
    assert result.message.endswith("policy allows 0.02 at 0.95, in each of 3 comparisons")


def test_an_optimised_model_without_a_parent_is_told_how_one_is_named() -> None:
    result = quality(world_of(samples(every(10)), samples(every(10)), change="Quantize"))
    assert result.reason is Reason.ParentUnknown
    assert f"{ROLE_ANNOTATION}: BaseModel" in (result.remedy or "")


def test_one_slice_may_be_given_another_margin_by_name() -> None:
    small = BESIDE | {"slice": "region=DACH", "notWorseThanBaselineBy": "0.10"}
    assert quality(world_of(samples(every(10)), samples(every(10)), BESIDE, small)).outcome is Outcome.SATISFIED
    assert quality(world_of(samples(every(10)), samples(every(10)), BESIDE, small | {"notWorseThanBaselineBy": "0.01"})).outcome is Outcome.MISSING


def test_of_many_comparisons_one_that_looks_bad_by_chance_refuses_nothing() -> None:
    """Sixty slices of twenty cases; one of them lost four, which is surprising once and not among sixty. It still is not shown to be within the margin."""
    many: dict[str, Any] = {"cases": 1200, "region": lambda each: f"r{each % 60}"}
    ours = samples(lambda each: not (each % 60 == 7 and each < 300), **many)
    theirs = samples(lambda _: True, **many)
    alone = quality(world_of(ours, theirs, BESIDE | {"slice": "region=r7", "notWorseThanBaselineBy": "0.05"}))
    assert alone.reason is Reason.WorseThanBaseline
    among = quality(world_of(ours, theirs, BESIDE | {"slices": ["region"], "notWorseThanBaselineBy": "0.05"}))
    assert (among.outcome, among.reason) == (Outcome.MISSING, Reason.EvaluationInconclusive)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (samples(every(10), cases=900), samples(every(10)), "measured on 900 cases, the baseline on 1,000"),
        (samples(every(10), name="other-"), samples(every(10)), "other names"),
        (samples(every(10), suite_digest=c.digest_of("v2")), samples(every(10), suite_digest=c.digest_of("v1")), "its cases have digest"),
        (means(0.9, suite_digest=c.digest_of("v1")), means(0.9), "the baseline's (none)"),
    ],
)
def test_other_cases_than_the_baselines_compare_nothing(ours: bytes, theirs: bytes, words: str) -> None:
    result = quality(world_of(ours, theirs))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.TestSetDiffers)
    assert words in result.message


def test_without_an_evaluation_of_the_baseline_there_is_nothing_to_compare_with() -> None:
    for theirs in (None, means(0.9, metric="other")):
        result = quality(world_of(samples(every(10)), theirs))
        assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.BaselineNotMeasured)
        assert c.BASELINE in str(result.remedy)


def test_a_baseline_that_is_gone_or_of_another_model_is_not_compared_with() -> None:
    world = world_of(samples(every(10)), samples(every(10)))
    assert quality(world).outcome is Outcome.SATISFIED
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, baseline_spec() | {"model": "fraud"}))
    assert quality(world).reason is Reason.BaselineOfAnotherModel
    world.remove("ModelRelease", c.BASELINE_KEY)
    assert quality(world).reason is Reason.BaselineNotEntitled


def test_evidence_about_the_baseline_that_comes_and_goes_is_looked_at_again() -> None:
    world = world_of(samples(every(10)), samples(every(10)))
    key = c.Key(namespace=c.NAMESPACE, name="of-the-baseline")
    assert c.KEY in world.remove("ReleaseEvidence", key)
    assert quality(world).reason is Reason.BaselineNotMeasured


def test_who_may_not_evaluate_may_not_evaluate_the_baseline() -> None:
    world = world_of(samples(every(10)), None)
    put(world, "by-the-trainer", OLD_WEIGHTS, samples(every(10)), identity=c.TRAINER)
    assert quality(world).reason is Reason.BaselineNotMeasured


def test_the_first_release_is_what_its_successors_are_held_against() -> None:
    world = world_of(None, samples(every(10)))
    result = result_of(world.verdict(c.BASELINE_KEY, now=c.NOW), "quality")  # type: ignore[arg-type]
    assert (result.outcome, result.reason) == (Outcome.SATISFIED, Reason.FirstRelease)
    assert len(result.evidence) == 1
    put(world, "of-the-baseline", OLD_WEIGHTS, means(0.9, metric="other"))
    assert result_of(world.verdict(c.BASELINE_KEY, now=c.NOW), "quality").reason is Reason.MeasureMissing  # type: ignore[arg-type]


def test_leaving_the_baseline_out_does_not_spare_the_comparison() -> None:
    world = world_of(samples(every(5)), samples(every(10)))
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | {"change": {"type": "Train"}}))
    spec = c.policy_spec()
    # The baseline needs no more than its evaluation here, so that it may serve.
    spec["requirements"] = [spec["requirements"][2] | {"measures": [BESIDE]}, spec["requirements"][3]]
    world = with_policy(world, spec)
    c.approve(world, c.BASELINE_KEY)
    assert quality(world).reason is Reason.BaselineMissing


def test_the_run_of_the_baseline_is_the_first_that_meets_what_policy_asks_of_it_by_itself() -> None:
    poor, good = samples(every(4)), samples(every(10))
    world = world_of(samples(every(6)), None, {"suite": "churn-core", "metric": "acc", "atLeast": "0.80"}, BESIDE)
    hours = [c.NOW.replace(hour=hour) for hour in (8, 9, 10)]
    put(world, "poor", OLD_WEIGHTS, poor, when=hours[0])
    assert quality(world).outcome is Outcome.SATISFIED, "nothing better is known of the baseline"
    put(world, "good", OLD_WEIGHTS, good, when=hours[1])
    assert quality(world).reason is Reason.WorseThanBaseline
    put(world, "poor-again", OLD_WEIGHTS, poor, when=hours[2])
    assert quality(world).reason is Reason.WorseThanBaseline


def test_all_measures_of_a_suite_are_met_by_one_run() -> None:
    """One run is better than the baseline, another one is fresh; neither is both."""
    world = world_of(None, samples(every(10)), BESIDE | {"maxAge": "2h"}, {"suite": "churn-core", "metric": "acc", "atLeast": "0.85"})
    put(world, "old", c.weights_digest(), samples(every(10)), when=c.NOW.replace(hour=8))
    put(world, "bad", c.weights_digest(), samples(every(5)))
    assert quality(world).outcome is Outcome.EXPIRED
    put(world, "good", c.weights_digest(), samples(every(10)))
    assert quality(world).outcome is Outcome.SATISFIED


def test_two_runs_that_each_have_half_are_told_that_one_needs_both() -> None:
    world = world_of(means(0.95, metric="acc"), None, *({"suite": "churn-core", "metric": metric, "atLeast": "0.85"} for metric in ("acc", "f1")))
    put(world, "second", c.weights_digest(), means(0.95, metric="f1"))
    result = quality(world)
    assert result.reason is Reason.MeasureMissing
    assert "one run has to have both" in result.message


def test_a_run_that_has_not_all_of_it_hides_none_that_missed() -> None:
    """What failed is denied; an evaluation of something else must not turn that into waiting."""
    asked = {"suite": "churn-core", "metric": "acc", "atLeast": "0.95"}
    world = world_of(means(0.5), None, asked)
    assert quality(world).reason is Reason.ThresholdMissed
    put(world, "of-something-else", c.weights_digest(), means(0.99, metric="f1"))
    assert quality(world).reason is Reason.ThresholdMissed


def test_less_is_better_of_some_metrics() -> None:
    rate = BESIDE | {"better": "Lower"}
    assert quality(world_of(means(0.30), means(0.10), rate)).reason is Reason.WorseThanBaseline
    assert quality(world_of(means(0.10), means(0.30), rate)).outcome is Outcome.SATISFIED
    assert quality(world_of(means(0.10), means(0.30), BESIDE)).reason is Reason.WorseThanBaseline


def test_as_many_samples_are_demanded_as_policy_says() -> None:
    for measure in (BESIDE, {"suite": "churn-core", "metric": "acc", "atLeast": "0.5"}):
        assert quality(world_of(samples(every(10)), samples(every(10)), measure | {"samplesAtLeast": 1000})).outcome is Outcome.SATISFIED
        assert quality(world_of(samples(every(10)), samples(every(10)), measure | {"samplesAtLeast": 1001})).reason is Reason.TooFewSamples


def test_scores_outside_of_zero_to_one_are_not_compared_though_their_mean_is_inside() -> None:
    header, *rows = samples(every(10)).splitlines()
    lines = [header, *(json.dumps(json.loads(row) | {"scores": {"acc": 3.0 if index % 2 else -2.0}}).encode() for index, row in enumerate(rows))]
    wild = b"\n".join(lines)
    for measure in (BESIDE, {"suite": "churn-core", "metric": "acc", "atLeast": "0.4"}):
        assert quality(world_of(wild, samples(every(10)), measure)).reason is Reason.MetricOutOfRange
    assert quality(world_of(samples(every(10)), wild)).reason is Reason.MetricOutOfRange


def test_a_revoked_evaluator_of_the_baseline_takes_the_comparison_away() -> None:
    world = world_of(samples(every(10)), samples(every(10)))
    put(world, "of-the-release", c.weights_digest(), samples(every(10)))
    spec = c.policy_spec()
    spec["requirements"][2]["measures"] = [BESIDE]
    spec["revoked"] = [{"type": "Identity", "identity": c.EVALUATOR, "issuer": c.ISSUER, "reason": "KeyCompromise"}]
    assert quality(with_policy(world, spec)).reason is Reason.SignerRevoked


PARENT = c.digest_of("what was quantized")


def made_from(world: World, digest: str, *, identity: str = c.TRAINER) -> World:
    statement = c.slsa_statement({"churn": c.weights_digest()}, c.BUILDER, [("the larger model", digest)])
    statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["annotations"] = {ROLE_ANNOTATION: "BaseModel"}
    world.put("ReleaseEvidence", c.evidence("made-from", c.sign(statement, identity=identity)))
    return world


@pytest.mark.parametrize("change", ["Quantize", "Prune", "Distill"])
def test_what_was_optimised_is_held_against_what_it_was_made_from_too(change: str) -> None:
    """As good as what it replaces; but the model that it was made from was better."""
    world = world_of(samples(every(10)), samples(every(10)), change=change)
    unnamed = quality(world)
    assert (unnamed.outcome, unnamed.reason) == (Outcome.MISSING, Reason.ParentUnknown)
    assert "BaseModel" in str(unnamed.remedy)
    assert quality(made_from(world, PARENT)).reason is Reason.BaselineNotMeasured
    put(world, "of-the-parent", PARENT, samples(every(100)))
    worse = quality(world)
    assert (worse.outcome, worse.reason) == (Outcome.FAILED, Reason.WorseThanBaseline)
    assert f"beside {PARENT}, which it was made from" in worse.message
    put(world, "of-the-parent", PARENT, samples(every(10)))
    good = quality(world)
    assert good.outcome is Outcome.SATISFIED
    assert len(good.evidence) == 3
    assert f"beside {c.BASELINE}" in good.message


def test_a_baseline_that_it_was_made_from_is_compared_once() -> None:
    result = quality(made_from(world_of(samples(every(10)), samples(every(10)), change="Quantize"), OLD_WEIGHTS))
    assert result.outcome is Outcome.SATISFIED
    assert len(result.evidence) == 2


def test_a_model_that_was_trained_anew_is_not_held_against_what_it_descends_from() -> None:
    assert quality(made_from(world_of(samples(every(10)), samples(every(10))), PARENT)).outcome is Outcome.SATISFIED


def test_who_may_not_say_how_it_was_made_names_no_parent() -> None:
    world = world_of(samples(every(10)), samples(every(10)), change="Quantize")
    assert quality(made_from(world, OLD_WEIGHTS, identity=c.EVALUATOR)).reason is Reason.ParentUnknown
