"""What a trigger adds, and what a release is held against: the real verdicts on a release and those before it."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from sluice.decision.instant import Instant
from sluice.decision.model import Allowance, Approval, InvalidPolicy, Release, Verdict
from sluice.decision.policies import read_policy
from sluice.decision.world import MOST_ANCESTORS
from tests.unit.decision import case as c
from tests.unit.decision.test_monitors import finding, watching

Object = dict[str, Any]
EVERY = ["ToolAdded", "ToolEffectWidened", "DataClassAdded", "SecretAdded", "SecretLifetimeGrown", "ServiceAccountChanged", "PermissionAdded",
         "TokenLifetimeGrown", "EgressWidened", "ContextWindowGrown", "SafetyFilterChanged", "FirstRelease", "VendorChanged"]  # fmt: skip
SECURITY = {"name": "security-approval", "type": "Approval", "counts": {"appsec": 1}}
SINCE = c.Key(namespace=c.NAMESPACE, name="churn-2-2-0")


def policy(*triggers: Object, asks: Object | None = None, **fields: object) -> Object:
    """The policy of `case`, whose owners sign off every release and whose security those that fire a trigger."""
    spec = c.policy_spec()
    spec["roles"].append({"name": "appsec", "subjects": [{"kind": "User", "name": "zoe@example.com"}]})
    spec["requirements"].append(SECURITY | (asks or {}))
    spec["triggers"] = list(triggers) or [{"name": "security-change", "changes": EVERY, "adds": ["security-approval"]}]
    return c.item("ReleasePolicy", "customer-facing", spec | fields, namespace="")


def looked_at(world: c.World, key: c.Key) -> None:
    """Let security sign off a release."""
    world.put("ReleaseApproval", c.approval(f"{key.name}-by-zoe", world, role="appsec", username="zoe@example.com", groups=[], key=key))


def world_of(policy: Object, *, accepted: bool = True, authority: Object | None = None, **changes: object) -> c.World:
    """A world of a first release, accepted with all that a first release needs, and one that changes something."""
    world = c.verified_world()
    world.put("ReleasePolicy", policy)
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.first_release_spec()))
    spec = c.release_spec() | changes
    spec["authority"] = spec["authority"] | (authority or {})
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, spec))
    if accepted:
        c.approve(world, c.BASELINE_KEY)
        looked_at(world, c.BASELINE_KEY)
    c.approve(world, c.KEY)
    return world


def verdict_of(world: c.World, key: c.Key = c.KEY, **later: Any) -> Verdict:  # noqa: ANN401 - arguments of timedelta
    verdict = world.verdict(key, now=c.NOW + timedelta(**later))
    assert verdict is not None
    return verdict


def asked(verdict: Verdict) -> set[str]:
    return {result.requirement for result in verdict.results}


def fired(verdict: Verdict) -> set[str]:
    return {str(one.change or "when") for one in verdict.fired}


# Both ways.


def test_a_release_that_changes_nothing_keeps_the_light_path() -> None:
    verdict = verdict_of(world_of(policy()))
    assert (verdict.allows, verdict.fired) == (Allowance.SERVE, ())
    assert "security-approval" not in asked(verdict)


def test_a_trigger_that_fires_adds_its_requirement_and_says_why() -> None:
    world = world_of(policy(), authority={"tools": [{"name": "crm.read", "effect": "Read"}, {"name": "refund", "effect": "Write"}]})
    verdict = verdict_of(world)
    (one,) = verdict.fired
    assert (one.policy, one.trigger, one.change, one.detail) == ("customer-facing", "security-change", "ToolAdded", "tool refund is new, effect Write")
    assert [result.requirement for result in verdict.open] == ["security-approval"]
    looked_at(world, c.KEY)
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_trigger_fires_on_what_it_names_and_on_nothing_else() -> None:
    tool = {"tools": [{"name": "crm.read", "effect": "Read"}, {"name": "refund", "effect": "Write"}]}
    for change in EVERY:
        verdict = verdict_of(world_of(policy({"name": "t", "changes": [change], "adds": ["security-approval"]}), authority=tool))
        assert ("security-approval" in asked(verdict)) == (change == "ToolAdded"), change


@pytest.mark.parametrize(
    ("tiers", "tool", "applies"), [(["standard"], False, True), (["high"], False, False), (["high"], True, True), (["standard"], True, True)]
)
def test_a_requirement_with_tiers_applies_to_them_and_to_what_fires_its_trigger(tiers: list[str], *, tool: bool, applies: bool) -> None:
    more = {"dataClasses": ["Payments"]} if tool else {}
    verdict = verdict_of(world_of(policy(asks={"tiers": tiers}), authority=more))
    assert verdict.tier == "standard"
    assert ("security-approval" in asked(verdict)) is applies


# What it is held against.


def test_a_first_release_is_held_against_nothing() -> None:
    world = world_of(policy(), accepted=False)
    c.approve(world, c.BASELINE_KEY)
    verdict = verdict_of(world, c.BASELINE_KEY)
    assert {"FirstRelease", "ToolAdded", "ServiceAccountChanged"} <= fired(verdict)
    assert next(one.detail for one in verdict.fired if one.change == "FirstRelease") == "it names no baseline"
    assert verdict.allows is Allowance.NOTHING


def test_a_baseline_that_nobody_accepted_hides_nothing() -> None:
    verdict = verdict_of(world_of(policy(), accepted=False))
    (first,) = (one.detail for one in verdict.fired if one.change == "FirstRelease")
    assert first.startswith("its baseline churn-2-0-0 was not accepted (approvals: ApprovalMissing)")
    assert verdict.allows is Allowance.NOTHING


def test_a_baseline_that_is_gone_makes_it_a_first_release() -> None:
    world = world_of(policy())
    world.remove("ModelRelease", c.BASELINE_KEY)
    verdict = verdict_of(world)
    assert "its baseline churn-2-0-0 is not there" in {one.detail for one in verdict.fired}
    assert verdict.allows is Allowance.NOTHING


def test_a_baseline_of_another_model_is_none() -> None:
    world = world_of(policy())
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.first_release_spec() | {"model": "fraud"}))
    assert "its baseline churn-2-0-0 is of model fraud, not churn" in {one.detail for one in verdict_of(world).fired}


def third(world: c.World, **authority: object) -> Verdict:
    """The verdict on a release whose baseline went the light path itself."""
    spec = c.release_spec() | {"version": "2.2.0", "change": {"type": "Prune", "baseline": {"name": c.NAME}}}
    spec["authority"] = spec["authority"] | authority
    world.put("ModelRelease", c.item("ModelRelease", SINCE.name, spec))
    c.approve(world, SINCE)
    return verdict_of(world, SINCE)


def test_the_light_path_goes_on_from_a_release_that_went_it() -> None:
    assert third(world_of(policy())).allows is Allowance.SERVE


def test_many_small_steps_are_held_against_the_last_release_that_was_looked_at() -> None:
    # The trigger on tools is not fired by the second release's context, and nobody looked at it; the third gives back its tool.
    world = world_of(policy(), authority={"contextWindow": 4096, "tools": []})
    verdict = third(world, contextWindow=4096, tools=[{"name": "crm.read", "effect": "Read"}])
    assert "tool crm.read is new, effect Read" in {one.detail for one in verdict.fired}


def test_a_wide_release_that_was_never_accepted_cannot_stand_between() -> None:
    wide = {"dataClasses": ["Payments"]}
    verdict = third(world_of(policy(), authority=wide), **wide)
    assert "data class Payments is new" in {one.detail for one in verdict.fired}
    assert "FirstRelease" not in fired(verdict)
    assert verdict.allows is Allowance.NOTHING


def test_a_release_that_was_looked_at_is_where_comparing_ends() -> None:
    wide = {"dataClasses": ["Payments"]}
    world = world_of(policy(), authority=wide)
    looked_at(world, c.KEY)
    assert third(world, **wide).fired == ()


def test_a_baseline_whose_evidence_is_too_old_by_now_was_accepted_all_the_same() -> None:
    world = world_of(policy())
    assert "EvidenceExpired" in {result.reason for result in verdict_of(world, c.BASELINE_KEY, days=31).results}
    assert verdict_of(world, days=31).fired == ()


def test_before_all_times_everything_has_begun_and_nothing_has_ended() -> None:
    before = Instant(None)
    assert before.has_come(c.NOW, early=timedelta(minutes=10))
    assert not before.has_come(c.NOW)
    assert before.changes_at is None


def test_a_baseline_that_was_accepted_for_a_time_is_so_for_that_time() -> None:
    world = world_of(policy(), accepted=False)
    c.approve(world, c.BASELINE_KEY)
    ends = (c.NOW + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    for_now = c.approval("for-now", world, role="appsec", username="zoe@example.com", groups=[], key=c.BASELINE_KEY, expires=ends)
    world.put("ReleaseApproval", for_now)
    verdict = verdict_of(world)
    assert (verdict.fired, verdict.changes_at) == ((), c.NOW + timedelta(hours=1))
    assert "FirstRelease" in fired(verdict_of(world, hours=1))


def test_a_baseline_that_somebody_rejected_is_none() -> None:
    world = world_of(policy())
    no = c.approval("no", world, role="security", username="sam@example.com", groups=[], key=c.BASELINE_KEY, decision="Reject")
    world.put("ReleaseApproval", no)
    assert "its baseline churn-2-0-0 was not accepted (it was rejected), nor was one before it" in {one.detail for one in verdict_of(world).fired}


def test_what_a_baseline_came_to_once_it_served_does_not_count() -> None:
    world = world_of(policy())
    world.put("ReleaseMonitor", watching("m-1", finding("RollBack"), key=c.BASELINE_KEY))
    assert verdict_of(world, c.BASELINE_KEY).rolled_back
    assert verdict_of(world).fired == ()


def test_a_baseline_need_not_have_been_scored_beside_its_own() -> None:
    item = policy()
    item["spec"]["requirements"].append(c.canary_requirement())
    wide = {"dataClasses": ["Payments"]}
    world = world_of(item, authority=wide)
    looked_at(world, c.KEY)
    assert third(world, **wide).fired == ()


def test_the_way_back_to_a_release_that_was_accepted_ends() -> None:
    world = world_of(policy())
    for number in range(MOST_ANCESTORS + 1):
        before = c.NAME if number == 0 else f"churn-3-{number - 1}-0"
        spec = c.release_spec() | {"version": f"3.{number}.0", "change": {"type": "Prune", "baseline": {"name": before}}}
        world.put("ModelRelease", c.item("ModelRelease", f"churn-3-{number}-0", spec))
    found = [fired(verdict_of(world, c.Key(namespace=c.NAMESPACE, name=f"churn-3-{number}-0"))) for number in (MOST_ANCESTORS - 2, MOST_ANCESTORS - 1)]
    assert found[0] == set()
    assert "FirstRelease" in found[1]


def test_sign_offs_say_whether_they_count_by_the_requirements_that_apply() -> None:
    # The trigger adds evidence: what people have seen depends on whether it fires.
    trigger = {"name": "t", "changes": ["FirstRelease"], "adds": ["quality"]}
    world = world_of(policy(trigger))
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    for approval in world.approvals.values():
        if isinstance(approval, Approval) and approval.spec.release.name == c.NAME:
            assert world.finding(approval, release, now=c.NOW) in verdict_of(world).approvals


def test_a_baseline_that_is_revoked_is_none() -> None:
    world = world_of(policy())
    digest = verdict_of(world, c.BASELINE_KEY).release_digest
    root = c.trust_root()
    root["spec"]["revoked"] = [{"type": "Release", "digest": digest, "reason": "r"}]
    world.put("TrustRoot", root)
    assert "FirstRelease" in fired(verdict_of(world))


def test_a_ring_of_baselines_ends() -> None:
    world = world_of(policy(), accepted=False)
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.first_release_spec() | {"change": {"type": "Train", "baseline": {"name": c.NAME}}}))
    assert "FirstRelease" in fired(verdict_of(world))


def test_who_is_touched_by_a_baseline_is_looked_at_again() -> None:
    world = world_of(policy())
    third(world)
    assert {c.KEY, SINCE} <= world.put("ReleaseApproval", c.approval("x", world, role="owner", username="u", groups=[], key=c.BASELINE_KEY))


@pytest.mark.parametrize("when", ["baseline.version == '1.0.0'", "'ToolAdded' in changes"])
def test_who_has_an_expression_that_reads_a_baseline_is_looked_at_again_with_it(when: str) -> None:
    item = policy()
    item["spec"] |= {"triggers": [], "tiers": [{"name": "high", "when": when}]}
    world = world_of(item)
    assert c.KEY in world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.first_release_spec("1.0.0")))


# Expressions.


@pytest.mark.parametrize(
    ("when", "fires"),
    [
        ("release.change.type == 'Quantize'", True),
        ("release.change.type == 'Prune'", False),
        ("release.training.run == ''", True),
        ("baseline.version == release.version", False),
        ("'FirstRelease' in changes", False),
        ("!measurements.exists(m, m.suite == 'churn-core' && m.metric == 'acc' && m.value >= 0.9 && m.samples == 1000)", False),
        ("measurements.exists(m, m.value < 0.9)", False),
    ],
)
def test_a_trigger_of_an_expression_fires_when_it_is_true_or_cannot_be_told(when: str, *, fires: bool) -> None:
    verdict = verdict_of(world_of(policy({"name": "own", "when": when, "adds": ["security-approval"]})))
    assert bool(verdict.fired) is fires
    assert ("security-approval" in asked(verdict)) is fires


def details(when: str, digest: str, identity: str) -> list[str]:
    """What fires, with one more evaluation of a suite `others`."""
    raw = c.lm_eval_results("others", "acc", 0.5, 10)
    world = world_of(policy({"name": "t", "when": when, "adds": ["security-approval"]}))
    bundle = c.sign(c.evaluation_statement(digest, "results.json", raw), identity=identity)
    world.put("ReleaseEvidence", c.evidence("others", bundle, {"results.json": raw}))
    return [one.detail for one in verdict_of(world).fired]


def test_measurements_are_those_of_models_by_signers_who_may() -> None:
    there = "measurements.exists(m, m.suite == 'others')"
    assert details(there, c.weights_digest(), c.EVALUATOR) == [f"{there} is true"]
    assert details(there, c.weights_digest(), "mallory@example.com") == []
    assert details(there, c.SERVER, c.EVALUATOR) == []


def test_more_measurements_than_are_read_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = "measurements.exists(m, m.suite == 'nothing')"
    monkeypatch.setattr("sluice.decision.variables.MOST_MEASUREMENTS", 2)
    assert details(nothing, c.weights_digest(), c.EVALUATOR) == []
    monkeypatch.setattr("sluice.decision.variables.MOST_MEASUREMENTS", 1)
    assert details(nothing, c.weights_digest(), c.EVALUATOR) == [f"{nothing} cannot be evaluated: something that it reads is not there"]


def conditioned(expression: str, **changes: Any) -> Verdict:  # noqa: ANN401 - objects of the world
    own = {"name": "ours", "type": "Condition", "expression": expression, "message": "it is none of ours"}
    item = policy()
    item["spec"]["requirements"].append(own)
    return verdict_of(world_of(item, **changes))


@pytest.mark.parametrize(
    ("expression", "outcome", "reason"),
    [
        ("release.owner.group.startsWith('payments-')", "Satisfied", "ConditionMet"),
        ("release.owner.group.startsWith('fraud-')", "Failed", "ConditionNotMet"),
        ("release.training.run.startsWith('mlflow:')", "Failed", "ConditionUnclear"),
        ("measurements.exists(m, m.suite == 'red-team')", "Missing", "ConditionNotMet"),
        ("measurements.exists(m, m.suite == 'churn-core')", "Satisfied", "ConditionMet"),
        ("'FirstRelease' in changes || baseline.authority.serviceAccount == release.authority.serviceAccount", "Satisfied", "ConditionMet"),
        ("'FirstRelease' in changes || baseline.version == release.version", "Missing", "ConditionNotMet"),
        ("'FirstRelease' in changes || size(changes) == 0", "Satisfied", "ConditionMet"),
    ],
)
def test_a_condition_is_met_when_it_is_true_and_its_author_says_what_is_wrong(expression: str, outcome: str, reason: str) -> None:
    verdict = conditioned(expression)
    (result,) = (result for result in verdict.results if result.requirement == "ours")
    assert (result.outcome, result.reason) == (outcome, reason)
    assert (verdict.allows is Allowance.SERVE) == (outcome == "Satisfied")
    assert outcome == "Satisfied" or result.message.startswith("it is none of ours: ")


def test_a_condition_on_a_baseline_that_is_not_there_waits_for_it() -> None:
    item = policy()
    item["spec"]["requirements"].append({"name": "ours", "type": "Condition", "expression": "baseline.version != ''", "message": "m"})
    world = world_of(item)
    world.remove("ModelRelease", c.BASELINE_KEY)
    (result,) = (result for result in verdict_of(world).results if result.requirement == "ours")
    assert (result.outcome, result.reason) == ("Missing", "ConditionUnclear")


# Policies that cannot be used.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"triggers": [{"name": "t", "changes": ["ToolAdded"], "adds": ["red-taem"]}]}, "spec.triggers[t].adds: no requirement is called 'red-taem'"),
        ({"triggers": [{"name": "t", "when": "relase.model == ''", "adds": ["approvals"]}]}, "spec.triggers[t].when: "),
        ({"requirements": [{"name": "r", "type": "Condition", "expression": "changes", "message": "m"}]}, "spec.requirements[r].expression is LIST"),
        ({"tiers": [{"name": "high", "when": "measurements.exists(m, m.valeu > 0.5)"}]}, "spec.tiers[high].when: "),
    ],
)
def test_a_policy_whose_triggers_or_expressions_lead_nowhere_is_not_used_and_says_where(change: Object, says: str) -> None:
    item = deepcopy(policy())
    item["spec"] |= change
    read = read_policy("p", item)
    assert isinstance(read, InvalidPolicy)
    assert says in read.message
