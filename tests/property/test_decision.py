"""What holds for every verdict, whatever is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.api.canary import CanaryDecision
from sluice.api.monitor import Cause, MonitorFinding, MonitorSpec, OnDrift
from sluice.api.release import Phase
from sluice.api.requirement import RequirementType
from sluice.decision.decide import decide
from sluice.decision.model import Allowance, Case, Policy, Release
from sluice.decision.monitors import Watched
from sluice.decision.people import Signoff, staffed
from sluice.decision.runs import Run
from tests.unit.decision import case as c


def full() -> Case:
    """Everything that lets the release serve."""
    world = c.approved_world()
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    return world.case(release)


FULL = full()
SLOW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def part(case: Case, keep: set[int], order: int) -> Case:
    """Keep some of the facts and approvals of `case`, turned by `order`."""
    pieces = [("fact", fact) for fact in case.facts] + [("approval", approval) for approval in case.approvals]
    kept = [piece for index, piece in enumerate(pieces) if index in keep]
    turned = kept[order % (len(kept) or 1) :] + kept[: order % (len(kept) or 1)]
    return Case(
        release=case.release,
        policies=case.policies,
        facts=tuple(item for kind, item in turned if kind == "fact"),  # type: ignore[misc]
        approvals=tuple(item for kind, item in turned if kind == "approval"),  # type: ignore[misc]
    )


PIECES = len(FULL.facts) + len(FULL.approvals)


@SLOW
@given(st.sets(st.integers(0, PIECES - 1)), st.integers(0, 10))
def test_nothing_serves_unless_every_piece_is_there(keep: set[int], order: int) -> None:
    allowed = decide(part(FULL, keep, order), now=c.NOW).allows is Allowance.SERVE
    assert allowed == (len(keep) == PIECES)


@SLOW
@given(st.integers(0, PIECES))
def test_order_never_matters(order: int) -> None:
    everything = set(range(PIECES))
    assert decide(part(FULL, everything, order), now=c.NOW) == decide(FULL, now=c.NOW)


@SLOW
@given(st.sampled_from(["model", "version", "owner", "change", "artifacts", "authority", "stages", "residual_risk", "training", "rollback"]))
def test_every_identity_field_is_in_the_release_digest_and_kills_approvals(field: str) -> None:
    changed = {
        "model": "fraud",
        "version": "2.1.1",
        "owner": {"group": "other", "contact": "x"},
        "change": {"type": "Prune"},
        "artifacts": [*c.release_spec()["artifacts"], {"name": "extra", "type": "Code", "digest": "gitCommit:" + "a" * 40}],
        "authority": {"serviceAccount": "other"},
        "stages": ["production", "staging"],
        "residual_risk": {"owner": "x", "statement": "y"},
        "training": {"run": "mlflow:/runs/1"},
        "rollback": {"criteria": "worse"},
    }
    spec = type(FULL.release.spec).model_validate({**FULL.release.spec.model_dump(exclude_none=True), field: changed[field]})
    other = Release(namespace=FULL.release.namespace, name=FULL.release.name, spec=spec)
    verdict = decide(Case(release=other, policies=FULL.policies, facts=FULL.facts, approvals=FULL.approvals), now=c.NOW)
    assert other.digest != FULL.release.digest
    assert verdict.allows is Allowance.NOTHING


@given(
    st.lists(st.builds(Signoff, username=st.sampled_from("abcd"), role=st.sampled_from(["x", "y", "z"])), max_size=10),
    st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(1, 3), min_size=1),
)
def test_nobody_sits_twice_and_more_signoffs_never_seat_fewer(signoffs: list[Signoff], counts: dict[str, int]) -> None:
    seated = staffed(signoffs, counts)
    assert sum(seated.values()) <= len({s.username for s in signoffs})
    assert all(seated[role] <= counts[role] for role in counts)
    assert sum(staffed(signoffs[:-1], counts).values()) <= sum(seated.values())


# Canaries.


def case_of(world: c.World, key: c.Key = c.KEY) -> Case:
    release = world.releases[key]
    assert isinstance(release, Release)
    return world.case(release)


SCORED = case_of(c.canary_world())
ORDER = [Allowance.NOTHING, Allowance.CANARY, Allowance.SERVE]
RUN = c.run("run")["spec"]
OTHER = c.digest_of("something else")
ABOUT: dict[str, Any] = {
    "releaseDigest": OTHER, "baselineDigest": OTHER, "suiteDigest": OTHER, "baseline": {"name": "other"}, "suite": {"name": "other"}, "margin": "1",
    "margins": {"accuracy": "1"}, "falsePromotionRate": "0.4", "planned": 20,
}  # fmt: skip


def run_of(name: str, decision: CanaryDecision, changed: set[str]) -> Run:
    spec = type(SCORED_RUN.spec).model_validate(RUN | {field: ABOUT[field] for field in changed})
    return Run(name=name, spec=spec, decision=decision)


def _scored_run() -> Run:
    world = c.canary_world()
    world.put("CanaryRun", c.run("run"))
    run = world.canaries.runs[c.Key(c.NAMESPACE, "run")]
    assert isinstance(run, Run)
    return run


SCORED_RUN = _scored_run()
RUNS = st.lists(
    st.builds(run_of, st.sampled_from(["a", "b", "c"]), st.sampled_from(list(CanaryDecision)), st.sets(st.sampled_from(sorted(ABOUT)), max_size=3)), max_size=4
)
FOREIGN_RUNS = st.lists(
    st.builds(
        run_of, st.just("z"), st.sampled_from(list(CanaryDecision)), st.sets(st.sampled_from(sorted(ABOUT))).map(lambda changed: changed | {"releaseDigest"})
    ),
    max_size=4,
)


def allowed(case: Case) -> int:
    return ORDER.index(decide(case, now=c.NOW).allows)


@SLOW
@given(RUNS, FOREIGN_RUNS)
def test_a_run_about_another_release_changes_nothing(runs: list[Run], foreign: list[Run]) -> None:
    alone = replace(SCORED, runs=tuple(runs))
    assert decide(replace(SCORED, runs=(*foreign, *runs)), now=c.NOW) == decide(alone, now=c.NOW)


@SLOW
@given(RUNS)
def test_nothing_serves_but_by_a_promotion_of_exactly_this_on_no_looser_terms(runs: list[Run]) -> None:
    verdict = decide(replace(SCORED, runs=tuple(runs)), now=c.NOW)
    rolled_back = any(run.decision is CanaryDecision.ROLL_BACK and run.spec.release_digest == SCORED.release.digest for run in runs)
    promoted = any(run.decision is CanaryDecision.PROMOTE and run.spec == SCORED_RUN.spec for run in runs)
    assert (verdict.allows is Allowance.SERVE) == (promoted and not rolled_back)
    assert (verdict.phase is Phase.ROLLED_BACK) == rolled_back


@SLOW
@given(RUNS, st.sets(st.sampled_from(sorted(set(ABOUT) - {"releaseDigest"}))), st.integers(0, 4), st.booleans())
def test_a_roll_back_never_stops_counting(runs: list[Run], changed: set[str], place: int, asked: bool) -> None:
    back = run_of("back", CanaryDecision.ROLL_BACK, changed)
    case = replace(SCORED if asked else FULL, runs=(*runs[:place], back, *runs[place:]))
    verdict = decide(case, now=c.NOW)
    assert verdict.allows is Allowance.NOTHING
    assert verdict.hopeless


@SLOW
@given(RUNS, st.sets(st.integers(0, PIECES - 1)), st.integers(0, 10))
def test_to_ask_for_a_canary_never_allows_more(runs: list[Run], keep: set[int], order: int) -> None:
    some = part(SCORED, keep, order)
    asking = replace(SCORED, facts=some.facts, approvals=some.approvals, runs=tuple(runs))
    policies = tuple(_without_canary(policy) for policy in asking.policies if isinstance(policy, Policy))
    assert allowed(asking) <= allowed(replace(asking, policies=policies))


def _without_canary(policy: Policy) -> Policy:
    rest = [requirement for requirement in policy.spec.requirements if requirement.type is not RequirementType.CANARY]
    return replace(policy, spec=policy.spec.model_copy(update={"requirements": rest}))


@SLOW
@given(RUNS, st.randoms(use_true_random=False))
def test_the_order_of_runs_never_matters_for_what_is_allowed(runs: list[Run], random: Any) -> None:  # noqa: ANN401 - hypothesis' own type
    turned = list(runs)
    random.shuffle(turned)
    assert allowed(replace(SCORED, runs=tuple(turned))) == allowed(replace(SCORED, runs=tuple(runs)))


# Monitors.


def watched_of(name: str, asks: list[str], *, foreign: bool) -> Watched:
    digest = OTHER if foreign else FULL.release.digest
    spec = {
        "release": {"name": c.NAME}, "releaseDigest": digest, "policy": "customer-facing",
        "monitor": {
            "name": f"of-{name}", "prometheus": {"query": "x", "answer": "Values"}, "period": "1m", "detects": "Mean", "reference": {"mean": "0.1"},
            "falseAlarmEvery": 100, "onDrift": "RollBack",
        },
    }  # fmt: skip
    findings = [MonitorFinding(cause=cause, ask=OnDrift(ask), at="2026-11-20T11:00:00Z", message="m") for cause, ask in zip(Cause, asks, strict=False)]
    return Watched(name=name, spec=MonitorSpec.model_validate(spec), findings=tuple(findings))


ASKS = st.tuples(st.sampled_from(["Alert", "Withdraw", "RollBack"]), st.sampled_from(["Alert", "Withdraw"])).flatmap(
    lambda pair: st.integers(0, 2).map(lambda n: list(pair[:n]))
)
MONITORS = st.lists(st.builds(watched_of, st.sampled_from(["a", "b", "c"]), ASKS, foreign=st.booleans()), max_size=4)


@SLOW
@given(MONITORS, RUNS, st.booleans(), st.booleans())
def test_whatever_is_found_only_ever_takes_away_and_says_so(monitors: list[Watched], runs: list[Run], scored: bool, policies: bool) -> None:
    base = replace(SCORED if scored else FULL, runs=tuple(runs))
    base = base if policies else replace(base, policies=())
    case = replace(base, monitors=tuple(monitors))
    verdict, before = decide(case, now=c.NOW), decide(base, now=c.NOW)
    asks = {finding.ask for watched in monitors if watched.spec.release_digest == FULL.release.digest for finding in watched.findings}
    assert allowed(case) <= allowed(base)
    if asks <= {OnDrift.ALERT}:
        assert (verdict.results, verdict.phase) == (before.results, before.phase)
    else:
        assert verdict.allows is Allowance.NOTHING
    assert verdict.rolled_back == (before.rolled_back or OnDrift.ROLL_BACK in asks)
    assert not asks or verdict.alarms[0].finding.ask is max(asks, key=list(OnDrift).index)


NAMES = ["m0", "m1", "m2", "m3", "m4"]


@SLOW
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.none() | st.sampled_from(NAMES), st.booleans(), st.booleans()), unique_by=lambda item: item[0], max_size=5)
)
def test_however_releases_name_each_other_at_most_one_that_names_none_may_serve(releases: list[tuple[str, str | None, bool, bool]]) -> None:
    world = c.canary_world()
    world.remove("ModelRelease", c.KEY)
    world.remove("ModelRelease", c.BASELINE_KEY)
    for name, baseline, _, serving in releases:
        change = {"type": "Train"} | ({"baseline": {"name": baseline}} if baseline else {})
        item = c.item("ModelRelease", name, c.release_spec() | {"change": change})
        if serving:
            key = c.Key(c.NAMESPACE, name)
            world.put("ModelRelease", item)
            item["status"] = {"phase": "Serving", "releaseDigest": world.releases[key].digest}  # type: ignore[union-attr]
        world.put("ModelRelease", item)
    for name, _, approved, _ in releases:
        if approved:
            c.approve(world, c.Key(c.NAMESPACE, name))
    complete = [name for name, baseline, approved, _ in releases if baseline is None and approved]
    verdicts = {name: world.verdict(c.Key(c.NAMESPACE, name), now=c.NOW) for name in complete}
    first = [name for name, verdict in verdicts.items() if verdict is not None and verdict.allows is Allowance.SERVE]
    assert len(first) == min(1, len(complete))
