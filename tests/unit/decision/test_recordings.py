"""Recorded pairs decide about a release only while somebody who may vouches for them, and nobody can choose among recordings."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.api.release import Outcome, Phase
from sluice.decision.decide import decide
from sluice.decision.model import Allowance
from sluice.decision.reasons import Reason
from sluice.evidence.shadow_pairs import Named, ShadowPairs
from tests.unit.decision import case as c
from tests.unit.decision import recorded as r
from tests.unit.decision.test_canary import canary_of, verdict_of

OTHER = r.pairs(wrong=7)


def test_a_suite_of_pairs_waits_for_a_signed_recording_and_says_who_signs_it() -> None:
    world = r.recorded_world()
    verdict, result = verdict_of(world), canary_of(world)
    assert (result.outcome, result.reason, result.due) == (Outcome.MISSING, Reason.PairsMissing, None)
    assert (verdict.allows, verdict.phase, verdict.hopeless) == (Allowance.NOTHING, Phase.AWAITING_EVIDENCE, False)
    assert "mirror-ci" in (result.remedy or "")
    assert "sluice sign pairs" in (result.remedy or "")


def test_a_signed_recording_is_scored_and_pinned_by_digest_with_what_vouches_for_it() -> None:
    world = r.vouched_world()
    (due,) = verdict_of(world).due
    assert due.recording is not None
    (fact,) = [fact for fact in world.case(world.releases[c.KEY]).facts if fact.predicate_type.endswith("shadow-pairs/v1")]  # type: ignore[arg-type]
    assert (due.recording.digest, due.recording.count, due.recording.evidence) == (r.digest_of(r.PAIRS), 120, fact.bundle_digest)
    assert (due.recording.config_map, due.recording.oci) == (r.PLACE, None)
    elsewhere = r.recorded_world()
    elsewhere.put("ReleaseEvidence", r.evidence("pairs", r.said(elsewhere, kept=r.IMAGE)))
    (due,) = verdict_of(elsewhere).due
    assert due.recording is not None
    assert (due.recording.config_map, due.recording.oci) == (None, r.IMAGE)


def test_a_recording_changes_nothing_for_a_suite_that_asks() -> None:
    world = r.vouched_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec()))
    (due,) = verdict_of(world).due
    assert due.recording is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"baseline": Named(name="churn-1-9-0", digest=c.digest_of("another"))}, "has churn-1-9-0 sha256:"),
        ({"suite": Named(name="easy-core", digest=c.digest_of("another"))}, "was read on suite easy-core sha256:"),
        ({"recorded_until": datetime(2026, 11, 20, 12, 10, 1, tzinfo=UTC)}, "ends at 2026-11-20 12:10:01 UTC, which has not come yet"),
    ],
    ids=["baseline", "suite", "future"],
)
def test_a_recording_of_something_else_is_refused_by_name(changes: dict[str, Any], told: str) -> None:
    world = r.recorded_world()
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world, **changes)))
    result = canary_of(world)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.PairsOfAnother)
    assert told in result.message
    assert r.digest_of(r.PAIRS)[:19] in result.message


def test_a_recording_that_was_early_counts_once_its_end_has_come() -> None:
    world = r.recorded_world()
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world, recorded_until=datetime(2026, 11, 20, 13, tzinfo=UTC))))
    assert verdict_of(world).changes_at == c.NOW + timedelta(minutes=50)
    assert canary_of(world, minutes=49).reason is Reason.PairsOfAnother
    assert canary_of(world, minutes=50).reason is Reason.CanaryNotRun


def test_a_recording_of_another_candidate_is_no_recording_of_this_one() -> None:
    world = r.recorded_world()
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world, candidate=Named(name=c.NAME, digest=c.digest_of("another")))))
    assert canary_of(world).reason is Reason.PairsMissing


def test_a_recording_of_another_candidate_counts_for_nothing_though_its_file_is_an_artifact_of_this_one() -> None:
    world = r.recorded_world()
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world, candidate=r.named(world, c.BASELINE_KEY))))
    foreign = [fact for fact in world.case(world.releases[c.BASELINE_KEY]).facts if isinstance(fact.content, ShadowPairs)]  # type: ignore[arg-type]
    case = world.case(world.releases[c.KEY])  # type: ignore[arg-type]
    verdict = decide(replace(case, facts=(*case.facts, *foreign)), now=c.NOW)
    assert (len(foreign), verdict.open[0].reason) == (1, Reason.PairsMissing)


def test_a_recording_by_somebody_who_may_not_sign_it_is_refused_with_who_may() -> None:
    world = r.recorded_world()
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world), identity=c.TRAINER))
    result = canary_of(world)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.SignerNotPermitted)
    assert "nobody but mirror-ci sign ShadowPairs" in result.message
    assert c.TRAINER in result.message
    world = r.vouched_world(may=False)
    assert canary_of(world).reason is Reason.SignerNotPermitted


def test_a_bundle_that_cannot_be_verified_is_told_by_name() -> None:
    world = r.recorded_world()
    bundle = json.loads(c.sign(r.statement(r.said(world)), identity=r.RECORDER))
    signature = bundle["dsseEnvelope"]["signatures"][0]
    signature["sig"] = signature["sig"][:-12] + "A" * 8 + signature["sig"][-4:]
    world.put("ReleaseEvidence", c.evidence("forged", json.dumps(bundle).encode()))
    result = canary_of(world)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.EvidenceRefused)
    assert "ReleaseEvidence forged was refused" in result.message


# Which of several.


def test_of_several_recordings_the_one_that_was_signed_first_is_scored_whatever_comes_later() -> None:
    world = r.recorded_world()
    world.put("ReleaseEvidence", r.evidence("late", r.said(world, OTHER), when=c.NOW - timedelta(minutes=5)))
    world.put("ReleaseEvidence", r.evidence("early", r.said(world), when=c.NOW - timedelta(hours=3)))
    (due,) = verdict_of(world).due
    assert due.recording is not None
    assert due.recording.digest == r.digest_of(r.PAIRS)


def test_the_recording_that_a_run_has_pinned_stays_though_another_was_signed_before_it() -> None:
    world = r.vouched_world()
    world.put("CanaryRun", r.run(world))
    world.put("ReleaseEvidence", r.evidence("before", r.said(world, OTHER), when=c.NOW - timedelta(hours=9)))
    result = canary_of(world)
    assert (result.reason, result.run) == (Reason.CanaryRunning, "churn-2-1-0-1")
    assert result.due is not None
    assert result.due.recording is not None
    assert result.due.recording.digest == r.digest_of(r.PAIRS)


def test_a_run_on_a_recording_that_nobody_vouches_for_is_not_waited_for_where_another_one_is_signed() -> None:
    world = r.vouched_world()
    world.put("CanaryRun", r.run(world))
    world.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "pairs"))
    world.put("ReleaseEvidence", r.evidence("another", r.said(world, OTHER)))
    result = canary_of(world)
    assert (result.reason, result.run) == (Reason.CanaryNotRun, None)
    assert result.due is not None
    assert result.due.recording is not None
    assert result.due.recording.digest == r.digest_of(OTHER)


def test_a_run_that_ended_without_a_decision_is_not_tried_again_on_another_recording() -> None:
    world = r.vouched_world()
    world.put("CanaryRun", r.run(world, decision="Inconclusive"))
    world.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "pairs"))
    world.put("ReleaseEvidence", r.evidence("another", r.said(world, OTHER)))
    assert canary_of(world).reason is Reason.CanaryInconclusive


# What a promotion rests on.


def test_a_promotion_on_a_recording_serves_and_names_the_evidence_and_approvals_do_not_die_of_it() -> None:
    world = r.vouched_world()
    before = verdict_of(world).evidence_digest
    world.put("CanaryRun", r.run(world, decision="Promote"))
    verdict, result = verdict_of(world), canary_of(world)
    assert (verdict.allows, result.reason, verdict.evidence_digest) == (Allowance.SERVE, Reason.CanaryPassed, before)
    assert r.RECORDER in result.message
    assert len(result.evidence) == 1


def test_a_promotion_holds_only_while_somebody_who_may_vouches_for_its_recording() -> None:
    world = r.vouched_world()
    world.put("CanaryRun", r.run(world, decision="Promote"))
    world.put("ReleasePolicy", r.policy(may=False))
    assert canary_of(world).reason is Reason.SignerNotPermitted
    assert verdict_of(world).allows is Allowance.NOTHING
    world.put("ReleasePolicy", r.policy())
    assert verdict_of(world).allows is Allowance.SERVE
    assert c.KEY in world.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "pairs")), "the release is not looked at"
    assert canary_of(world).reason is Reason.PairsMissing
    assert c.KEY in world.put("ReleaseEvidence", r.evidence("again", r.said(world), when=c.NOW - timedelta(minutes=1)))
    assert verdict_of(world).allows is Allowance.SERVE, "the same recording, signed again"


def test_a_promotion_on_what_a_revoked_signer_recorded_is_revoked_and_says_so() -> None:
    world = r.vouched_world()
    world.put("CanaryRun", r.run(world, decision="Promote"))
    revoked = r.policy()
    revoked["spec"]["revoked"] = [{"type": "Identity", "identity": r.RECORDER, "issuer": c.ISSUER, "reason": "the gateway was broken into"}]
    world.put("ReleasePolicy", revoked)
    result = canary_of(world)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.SignerRevoked)
    assert "broken into" in result.message
    assert verdict_of(world).phase is Phase.REVOKED


def test_a_trust_root_that_revokes_the_recorder_concerns_the_release() -> None:
    world = r.vouched_world()
    world.put("CanaryRun", r.run(world, decision="Promote"))
    root = c.trust_root()
    root["spec"]["revoked"] = [{"type": "Identity", "identity": r.RECORDER, "issuer": c.ISSUER, "reason": "the gateway was broken into"}]
    assert c.KEY in world.put("TrustRoot", root)
    assert canary_of(world).reason is Reason.SignerRevoked


def test_a_roll_back_on_a_recording_stays_when_nobody_vouches_for_it_any_more() -> None:
    world = r.vouched_world()
    world.put("CanaryRun", r.run(world, decision="RollBack"))
    world.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "pairs"))
    assert verdict_of(world).phase is Phase.ROLLED_BACK


def test_a_recording_that_is_being_verified_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = r.recorded_world()
    monkeypatch.setattr(world._known, "_defers", True)
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world)))
    result, verdict = canary_of(world), verdict_of(world)
    assert (result.reason, verdict.unverified, verdict.hopeless) == (Reason.EvidenceUnverified, True, False)
    assert "pairs" in result.message


# What does not go with it.


def test_a_live_share_needs_a_pod_and_recorded_pairs_have_none() -> None:
    world = r.vouched_world(exposure=[{"share": "0.05", "for": "10m"}])
    result = canary_of(world)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.SuiteInvalid)
    assert "exposes one to users (exposure)" in result.message


def test_who_recorded_is_an_evaluator_and_may_not_approve_where_policy_keeps_them_apart() -> None:
    world = r.vouched_world()
    asked = r.policy()
    asked["spec"]["signers"][-1]["operatedBy"] = {"users": ["sam@example.com"]}
    world.put("ReleasePolicy", asked)
    verdict = verdict_of(world)
    assert next(result for result in verdict.results if result.requirement == "approvals").reason is Reason.ApprovalMissing
    assert any("signed ShadowPairs" in finding.message for finding in verdict.approvals)
