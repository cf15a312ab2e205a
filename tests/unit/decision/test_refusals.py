"""RefusalLowered in both directions: which runs are compared, and that what is not known is a change."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from sluice.api.trigger import Trigger
from sluice.decision.model import Case, Policy, Release
from sluice.decision.refusals import lowered_refusals
from tests.unit.decision import case as c
from tests.unit.decision.test_triggers import policy, verdict_of, world_of

OLD, NEW, PROMPT = (c.digest_of(name) for name in ("old weights", "new weights", "prompt"))


@cache
def run(digest: str, rate: float, *, hours: float = -1, suite: str = "refusals", identity: str = c.EVALUATOR) -> dict[str, Any]:
    """A signed evaluation of weights that refuse at this rate."""
    raw = (
        c.lm_eval_results(suite, "refused", min(rate, 0.5), 1000).replace(b"0.5,", f"{rate},".encode())
        if rate > 1
        else c.lm_eval_results(suite, "refused", rate, 1000)
    )
    bundle = c.sign(c.evaluation_statement(digest, "results.json", raw), identity=identity, when=c.NOW + timedelta(hours=hours))
    return c.evidence(f"run-{digest[7:12]}-{rate}-{hours}", bundle, {"results.json": raw})


def said(*runs: dict[str, Any], tolerance: str = "0", prompt: bool = False, weights: str = "Weights") -> list[str]:
    """What is found about a release of new weights, held against one of old weights."""
    world = c.verified_world()
    more = [{"name": "prompt", "type": "Prompt", "digest": PROMPT}] if prompt else []
    for name, digest in ((c.BASELINE, OLD), (c.NAME, NEW)):
        spec = c.release_spec() | {"artifacts": [{"name": "weights", "type": weights, "digest": digest}, *more]}
        world.put("ModelRelease", c.item("ModelRelease", name, spec))
    for each in runs:
        world.put("ReleaseEvidence", each)
    trigger = {
        "name": "t",
        "changes": ["RefusalLowered"],
        "adds": ["approvals"],
        "refusal": [{"suite": "refusals", "metric": "refused", "tolerance": tolerance}],
    }
    policy = world.policies["customer-facing"]
    assert isinstance(policy, Policy)
    found = lowered_refusals(Trigger.model_validate(trigger), policy, case_of(world, c.KEY), case_of(world, c.BASELINE_KEY))
    return [change.detail for change in found]


def case_of(world: c.World, key: c.Key) -> Case:
    release = world.releases[key]
    assert isinstance(release, Release)
    return world.case(release)


def test_a_lower_rate_is_a_change_and_the_same_or_a_higher_one_is_none() -> None:
    assert said(run(OLD, 0.95), run(NEW, 0.94)) == ["refused of refusals: weights: 0.9500 of churn-2-0-0 → 0.9400"]
    assert said(run(OLD, 0.95), run(NEW, 0.95)) == []
    assert said(run(OLD, 0.95), run(NEW, 0.96)) == []


@pytest.mark.parametrize(("tolerance", "changes"), [("0.009", 1), ("0.01", 0), ("0.02", 0)])
def test_a_tolerance_is_how_much_lower_is_the_same(tolerance: str, changes: int) -> None:
    assert len(said(run(OLD, 0.95), run(NEW, 0.94), tolerance=tolerance)) == changes


def test_a_rate_that_is_not_known_on_either_side_is_a_change() -> None:
    assert said(run(NEW, 0.99)) == ["refused of refusals: weights: not known of churn-2-0-0, which it is held against"]
    assert said(run(OLD, 0.95)) == ["refused of refusals: weights: not known; churn-2-0-0 has 0.9500"]
    assert said(run(OLD, 0.95), run(NEW, 0.99, suite="other")) == ["refused of refusals: weights: not known; churn-2-0-0 has 0.9500"]


def test_who_may_not_evaluate_says_nothing_about_refusals() -> None:
    assert said(run(OLD, 0.95), run(NEW, 0.99, identity="mallory@example.com")) == ["refused of refusals: weights: not known; churn-2-0-0 has 0.9500"]


def test_any_run_of_the_release_counts_and_the_first_of_its_baseline() -> None:
    assert said(run(OLD, 0.95), run(NEW, 0.90), run(NEW, 0.95, hours=-0.5)) == []
    assert said(run(OLD, 0.95), run(OLD, 0.99, hours=-0.5), run(NEW, 0.95)) == []
    assert len(said(run(OLD, 0.99), run(OLD, 0.90, hours=-0.5), run(NEW, 0.95))) == 1


def test_a_number_that_is_no_rate_is_not_known() -> None:
    assert said(run(OLD, 0.95), run(NEW, 1.5)) == ["refused of refusals: weights: not known; churn-2-0-0 has 0.9500"]


def test_a_prompt_has_to_be_evaluated_as_well_and_hides_nothing_of_the_weights() -> None:
    both = (run(OLD, 0.95), run(NEW, 0.99))
    assert said(*both, prompt=True) == ["refused of refusals: prompt: not known of churn-2-0-0, which it is held against"]
    assert said(*both, run(PROMPT, 0.5), prompt=True) == []
    assert said(run(OLD, 0.95), run(NEW, 0.94), run(PROMPT, 0.5), prompt=True) == ["refused of refusals: weights: 0.9500 of churn-2-0-0 → 0.9400"]


def test_of_several_filters_the_lowest_counts_on_both_sides() -> None:
    one = run(OLD, 0.95)
    raw = json.loads(c.lm_eval_results("refusals", "refused", 0.99, 1000))
    raw["results"]["refusals"] |= {"refused,strict": 0.5, "refused_stderr,strict": 0.01}
    content = json.dumps(raw).encode()
    filtered = [
        c.evidence(name, c.sign(c.evaluation_statement(digest, "results.json", content), identity=c.EVALUATOR), {"results.json": content})
        for name, digest in (("old", OLD), ("new", NEW))
    ]
    assert said(one, filtered[1]) == ["refused of refusals: weights: 0.9500 of churn-2-0-0 → 0.5000"]
    assert said(*filtered) == []


def test_a_release_that_nothing_answers_from_has_no_rate() -> None:
    assert said(run(OLD, 0.95), run(NEW, 0.99), weights="Dataset") == ["refused of refusals: the release has nothing that answers come from"]


@pytest.mark.parametrize(("metric", "fires"), [("acc", False), ("refused", True)])
def test_a_verdict_goes_by_it(metric: str, *, fires: bool) -> None:
    trigger = {"name": "t", "changes": ["RefusalLowered"], "adds": ["security-approval"], "refusal": [{"suite": "churn-core", "metric": metric}]}
    verdict = verdict_of(world_of(policy(trigger, {"name": "f", "changes": ["FirstRelease"], "adds": ["security-approval"]})))
    assert [one.change for one in verdict.fired] == (["RefusalLowered"] if fires else [])


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ({"suite": "inspect_evals/strong_reject", "metric": "strong_reject_scorer/refusal"}, " (JailbreakResistance): "),
        ({"suite": "dan.Dan_11_0", "metric": "passed"}, " (JailbreakResistance): "),
        ({"suite": "churn-core", "metric": "refused"}, " (UnsafeRefusal): "),
        ({"suite": "churn-core", "metric": "refused", "slice": "language=de"}, " (Languages, UnsafeRefusal) where language=de: "),
        ({"suite": "churn-core", "metric": "other"}, "other of churn-core: "),
    ],
    ids=["inspect", "garak", "of-the-policy", "slice", "none"],
)
def test_the_family_of_what_was_lowered_is_named_where_there_is_one(measure: dict[str, str], said: str) -> None:
    families = [
        {"family": "UnsafeRefusal", "harness": "lm-eval", "suite": "churn-core", "metric": "refused"},
        {"family": "Languages", "harness": "lm-eval", "suite": "churn-core", "metric": "refused", "by": "language"},
    ]
    trigger = {"name": "t", "changes": ["RefusalLowered"], "adds": ["security-approval"], "refusal": [measure]}
    item = policy(trigger)
    item["spec"]["families"] = families
    (fired,) = verdict_of(world_of(item), c.BASELINE_KEY).fired
    assert said in fired.detail


def test_without_a_baseline_that_counts_no_rate_is_known_to_be_as_high() -> None:
    trigger = {"name": "t", "changes": ["RefusalLowered"], "adds": ["security-approval"], "refusal": [{"suite": "churn-core", "metric": "acc"}]}
    verdict = verdict_of(world_of(policy(trigger)), c.BASELINE_KEY)
    assert [one.detail for one in verdict.fired] == ["acc of churn-core: there is no baseline to hold it against"]
