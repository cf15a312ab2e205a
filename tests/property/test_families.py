"""What holds for measures by family, whatever was measured by which tools, how often, and in which order it came."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.decision.decide import decide
from sluice.decision.model import Case, Release
from tests.unit.decision import case as c
from tests.unit.decision.test_families import DAN, FAMILY, GRANDMA, OURS, put, raw, spec_of, world_of

SLOW = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
INJECT = "promptinject.HijackHateHumans"
RUNS = {
    "all": (raw(DAN, 0.95), raw(INJECT, 0.95)),
    "one": (raw(DAN, 0.99),),
    "other": (raw(INJECT, 0.99),),
    "poor": (raw(DAN, 0.95), raw(GRANDMA, 0.2), raw(INJECT, 0.95)),
    "ours": (raw("break-it", 0.05, tool="ours", metric="broken"), raw(INJECT, 0.99)),
    "unknown": (raw("jailbreaks", 0.99, tool="theirs"),),
}  # fmt: skip
WHOLE = {"all", "ours"}
"""Each by itself meets what is asked: a number of either family, and none below the threshold."""


@cache
def whole() -> Case:
    """A release with all of these runs, signed one after the other."""
    world = world_of(spec_of(FAMILY, {"family": "InjectionResistance", "atLeast": "0.90"}, families=[OURS]))
    for hour, (name, files) in enumerate(RUNS.items(), start=2):
        put(world, name, *files, when=c.NOW.replace(hour=hour))
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    return world.case(release)


def met(case: Case) -> bool:
    return not any(result.requirement == "quality" for result in decide(case, now=c.NOW).open)


def runs_of(case: Case) -> list[int]:
    """Where the evaluations are among the facts, in the order in which they were signed."""
    found = [index for index, fact in enumerate(case.facts) if fact.signer.identity == c.EVALUATOR]
    return sorted(found, key=lambda index: str(case.facts[index].signed_at))


@SLOW
@given(st.sets(st.sampled_from(sorted(RUNS))), st.randoms(use_true_random=False))
def test_a_requirement_is_met_exactly_where_one_run_meets_all_of_it(kept: set[str], random: object) -> None:
    case = whole()
    at = dict(zip(RUNS, runs_of(case), strict=True))
    facts = [fact for index, fact in enumerate(case.facts) if index not in at.values()] + [case.facts[at[name]] for name in kept]
    random.shuffle(facts)  # type: ignore[attr-defined]
    assert met(replace(case, facts=tuple(facts))) is bool(kept & WHOLE)
