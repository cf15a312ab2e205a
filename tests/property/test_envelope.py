"""What holds for every comparison with a baseline, whatever was measured of either, how often and by whom."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.decision.decide import decide
from sluice.decision.model import Allowance, Case, Release
from tests.unit.decision import case as c
from tests.unit.decision.test_envelope import BESIDE, OLD_WEIGHTS, every, means, put, samples, world_of

SLOW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
RUNS = {
    "good": samples(every(10)), "fair": samples(every(9)), "poor": samples(every(4)), "means": means(0.9), "other-cases": samples(every(10), name="x"),
    "no-slices": samples(every(10), region=lambda _: "UK"),
}  # fmt: skip


@cache
def whole(margin: str = "0.05") -> Case:
    """A release and its baseline, each with all of these runs, signed one after the other; the release may serve."""
    world = world_of(None, None, BESIDE | {"slices": ["region"], "notWorseThanBaselineBy": margin}, {"suite": "churn-core", "metric": "acc", "atLeast": "0.5"})
    for hour, (name, raw) in enumerate(RUNS.items(), start=2):
        put(world, f"baseline-{name}", OLD_WEIGHTS, raw, when=c.NOW.replace(hour=hour))
        put(world, f"release-{name}", c.weights_digest(), raw, when=c.NOW.replace(hour=hour, minute=30))
    if margin == "0.05":
        c.approve(world, c.KEY)
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    return world.case(release)


@SLOW
@given(st.data())
def test_taking_evidence_away_never_turns_no_into_yes_where_people_signed_off_what_was_used(data: st.DataObject) -> None:
    case = whole()
    assert decide(case, now=c.NOW).allows is Allowance.SERVE
    ours = [fact for fact in case.facts if data.draw(st.booleans())]
    theirs = [fact for fact in case.lineage.facts if data.draw(st.booleans())]
    fewer = replace(case, facts=tuple(ours), lineage=replace(case.lineage, facts=tuple(theirs)))
    after = decide(fewer, now=c.NOW)
    if after.allows is Allowance.SERVE:
        assert after.evidence_digest == decide(case, now=c.NOW).evidence_digest


@SLOW
@given(st.permutations(range(len(RUNS))), st.permutations(range(len(RUNS))))
def test_the_order_of_runs_never_matters(ours: list[int], theirs: list[int]) -> None:
    case = whole()
    others = [fact for fact in case.facts if c.weights_digest() not in fact.subjects or fact.predicate_type != case.lineage.facts[0].predicate_type]
    runs = [fact for fact in case.facts if fact not in others]
    turned = replace(
        case,
        facts=(*others, *(runs[at] for at in ours)),
        lineage=replace(case.lineage, facts=tuple(case.lineage.facts[at] for at in theirs)),
    )
    assert decide(turned, now=c.NOW) == decide(case, now=c.NOW)


@settings(SLOW, max_examples=12)
@given(st.sets(st.integers(0, len(RUNS) - 1)), st.sets(st.integers(0, len(RUNS) - 1)), st.sampled_from(["0", "0.01", "0.05", "0.2"]))
def test_a_smaller_margin_never_lets_more_through(ours: set[int], theirs: set[int], margin: str) -> None:
    def passes(allowed: str) -> bool:
        case = whole(allowed)
        evaluations = [fact for fact in case.facts if fact.predicate_type == case.lineage.facts[0].predicate_type]
        facts = tuple(evaluations[at] for at in sorted(ours))
        fewer = replace(case, facts=facts, lineage=replace(case.lineage, facts=tuple(case.lineage.facts[at] for at in sorted(theirs))))
        return not any(result.requirement == "quality" for result in decide(fewer, now=c.NOW).open)

    assert passes("0.3") or not passes(margin)
