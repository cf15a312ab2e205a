"""What holds for whatever a release and its baseline hold, and whatever policies ask: less to compare with, and more that is asked, never lets more in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.api.release import ReleaseSpec
from sluice.api.trigger import SecurityChange
from sluice.decision.changes import changes_between
from sluice.decision.decide import decide
from sluice.decision.model import Allowance, Case, Policy, Release, Verdict
from sluice.decision.policies import read_policy
from tests.unit.decision import case as c
from tests.unit.decision import test_triggers as t

Object = dict[str, Any]
QUICK = settings(max_examples=60, deadline=None)
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
NAMES = st.sampled_from(["a", "b", "c"])
DURATIONS = st.sampled_from([None, "1m", "60s", "1h", "1d"])


def some(*, of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, max_size=3)


AUTHORITIES = st.fixed_dictionaries(
    {},
    optional={
        "serviceAccount": NAMES,
        "tools": some(of=st.fixed_dictionaries({"name": NAMES, "effect": st.sampled_from(["Read", "Write", "Admin"])})),
        "dataClasses": some(of=NAMES),
        "secrets": some(of=st.fixed_dictionaries({"name": NAMES, "maxLifetime": DURATIONS})),
        "egress": some(
            of=st.fixed_dictionaries({"host": NAMES, "port": st.sampled_from([80, 443])}, optional={"namespace": NAMES, "addresses": st.just(["10.0.0.0/8"])})
        ),
        "permissions": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {"resource": st.sampled_from(["pods", "jobs"]), "verbs": st.lists(st.sampled_from(["get", "create"]), min_size=1, max_size=2, unique=True)},
                optional={"names": st.lists(NAMES, min_size=1, max_size=2, unique=True), "scope": st.sampled_from(["Namespace", "Cluster"])},
            ),
            min_size=1,
            max_size=3,
        ),
        "tokenLifetime": DURATIONS,
        "contextWindow": st.sampled_from([None, 1, 2, 3]),
        "safetyFilters": some(of=st.fixed_dictionaries({"name": NAMES, "digest": st.sampled_from([c.digest_of("x"), c.digest_of("y")])})),
    },
)
TYPES = st.sampled_from(["Train", "Quantize", "Vendor"])


VENDORS = st.none() | st.fixed_dictionaries({"name": NAMES, "model": NAMES}, optional={"version": NAMES})


def spec(authority: Object | None, type_: str = "Quantize", vendor: Object | None = None) -> ReleaseSpec:
    change = {"type": type_, "baseline": {"name": c.BASELINE}}
    return ReleaseSpec.model_validate(c.release_spec() | {"authority": authority, "change": change, "vendor": vendor})


def kinds(release: ReleaseSpec, baseline: ReleaseSpec | None) -> set[SecurityChange]:
    return {change.kind for change in changes_between(release, baseline)}


@QUICK
@given(AUTHORITIES, AUTHORITIES, TYPES, VENDORS, VENDORS)
def test_without_its_baseline_a_release_changes_no_less(new: Object, old: Object, type_: str, now: Object | None, was: Object | None) -> None:
    assert kinds(spec(new, type_, now), spec(old, vendor=was)) <= kinds(spec(new, type_, now), None)


@QUICK
@given(AUTHORITIES, AUTHORITIES, AUTHORITIES)
def test_what_two_steps_leave_out_one_step_has_not(first: Object, second: Object, third: Object) -> None:
    """A change between two releases shows in one of the steps between them: nothing is widened unseen by going there in small steps."""
    a, b, d = spec(first), spec(second), spec(third)
    names = {SecurityChange.TOOL_ADDED, SecurityChange.DATA_CLASS_ADDED, SecurityChange.SECRET_ADDED, SecurityChange.EGRESS_WIDENED,
             SecurityChange.SERVICE_ACCOUNT_CHANGED, SecurityChange.SAFETY_FILTER_CHANGED, SecurityChange.PERMISSION_ADDED, SecurityChange.TOKEN_LIFETIME_GROWN,
             SecurityChange.CONTEXT_WINDOW_GROWN}  # fmt: skip
    assert kinds(d, a) & names <= kinds(b, a) | kinds(d, b)


@QUICK
@given(AUTHORITIES, AUTHORITIES, st.randoms())
def test_the_order_of_lists_never_matters(new: Object, old: Object, random: Any) -> None:  # noqa: ANN401 - a random.Random of hypothesis
    shuffled = {name: random.sample(value, len(value)) if isinstance(value, list) else value for name, value in new.items()}
    assert set(changes_between(spec(new), spec(old))) == set(changes_between(spec(shuffled), spec(old)))


# Verdicts.


def full() -> Case:
    """A release that fires nothing, its baseline, and everything that both need."""
    world = t.world_of(t.policy())
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    return world.case(release)


FULL = full()
(ANCESTOR,) = FULL.lineage.ancestors
ORDER = [Allowance.NOTHING, Allowance.CANARY, Allowance.SERVE]
CHANGES = st.lists(st.sampled_from(list(t.EVERY)), min_size=1, max_size=3, unique=True)
WHENS = st.sampled_from(["release.change.type == 'Train'", "release.training.run == ''", "baseline.version != release.version", "size(changes) > 1", "false"])
# They add nothing about evidence: sign-offs name the evidence that was asked for, so those of the test would count under one policy and not under another.
TRIGGERS = st.lists(
    st.builds(
        lambda named, when, adds: {"changes": named, "when": when, "adds": adds},
        CHANGES,
        WHENS,
        st.sampled_from([["security-approval"], ["more"], ["both", "more"]]),
    ),
    max_size=3,
)


def policies(*triggers: list[Object]) -> tuple[Policy, ...]:
    """One policy for each list of triggers; what they add applies to nothing else."""
    found = []
    for number, own in enumerate(triggers):
        item = t.policy(*({"name": f"t{index}"} | trigger for index, trigger in enumerate(own)))
        item["spec"]["triggers"] = item["spec"]["triggers"] if own else []
        item["spec"]["requirements"] += [
            {"name": "more", "type": "Approval", "counts": {"appsec": 2}},
            {"name": "both", "type": "Approval", "counts": {"appsec": 1, "owner": 1}},
        ]
        item["spec"]["triggers"] += [{"name": "always", "when": "false", "adds": ["security-approval", "more", "both"]}]
        policy = read_policy(f"p{number}", item)
        assert isinstance(policy, Policy)
        found.append(policy)
    return tuple(found)


def judged(case: Case, authority: Object, policies: tuple[Policy, ...], *, baseline: bool = True) -> Verdict:
    """Decide about a release with this authority. Its digest is another one with another authority, so people are asked by what applies, not by who signed."""
    release = replace(case.release, spec=spec(authority))
    ancestors = tuple(replace(one, policies=policies) for one in case.lineage.ancestors) if baseline else ()
    lineage = replace(case.lineage, ancestors=ancestors, baseline=case.lineage.baseline if baseline else None)
    return decide(replace(case, release=release, policies=policies, lineage=lineage), now=c.NOW)


def asked(verdict: Verdict) -> set[tuple[str, str]]:
    return {(result.policy, result.requirement) for result in verdict.results}


@FEW
@given(AUTHORITIES, TRIGGERS)
def test_leaving_the_baseline_out_never_asks_for_less(authority: Object, triggers: list[Object]) -> None:
    of = policies(triggers)
    assert asked(judged(FULL, authority, of)) <= asked(judged(FULL, authority, of, baseline=False))


@FEW
@given(AUTHORITIES, TRIGGERS, TRIGGERS)
def test_another_trigger_never_asks_for_less_and_another_policy_never_allows_more(authority: Object, some: list[Object], more: list[Object]) -> None:
    few, many, both = (judged(FULL, authority, of) for of in (policies(some), policies([*some, *more]), policies(some, more)))
    assert asked(few) <= asked(many)
    assert asked(few) <= asked(both)
    assert ORDER.index(both.allows) <= ORDER.index(few.allows)
    assert ORDER.index(many.allows) <= ORDER.index(few.allows)


@FEW
@given(AUTHORITIES, TRIGGERS, st.randoms())
def test_the_order_of_triggers_and_requirements_never_matters(authority: Object, triggers: list[Object], random: Any) -> None:  # noqa: ANN401 - a random.Random
    (policy,) = policies(triggers)
    named = policy.spec.triggers
    turned = replace(policy, spec=policy.spec.model_copy(update={"triggers": random.sample(named, len(named))}))
    one, other = judged(FULL, authority, (policy,)), judged(FULL, authority, (turned,))
    assert (set(one.results), set(one.fired), one.allows) == (set(other.results), set(other.fired), other.allows)


def test_taking_a_piece_of_evidence_or_an_approval_of_the_baseline_away_keeps_the_release_out() -> None:
    without = [replace(ANCESTOR, facts=tuple(fact for fact in ANCESTOR.facts if fact is not gone)) for gone in ANCESTOR.facts]
    without += [replace(ANCESTOR, approvals=tuple(approval for approval in ANCESTOR.approvals if approval is not gone)) for gone in ANCESTOR.approvals]
    for ancestor in without:
        verdict = decide(replace(FULL, lineage=replace(FULL.lineage, ancestors=(ancestor,))), now=c.NOW)
        assert verdict.allows is Allowance.NOTHING, ancestor
    assert decide(FULL, now=c.NOW).allows is Allowance.SERVE
