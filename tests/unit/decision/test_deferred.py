"""A world that defers: until a bundle is verified it is neither for nor against a release, which is held."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.release import Outcome, Phase
from sluice.decision.gate import Action
from sluice.decision.model import Allowance, Verdict
from sluice.decision.objects import Learnt
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.decision.world import World
from tests.unit.decision import case as c
from tests.unit.decision.test_gate import decided, pod
from tests.unit.decision.test_revocations import TRAINER

EVIDENCE = "ReleaseEvidence"


def approved(*, defers: bool = True) -> World:
    """The approved world, put together anew."""
    source, world = c.approved_world(), World(defers=defers)
    world.trust_controller(c.controller_keys())
    world.put("Namespace", c.namespace())
    world.put("TrustRoot", c.trust_root())
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", c.policy_spec(), namespace=""))
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec()))
    for name, bundle in c.bundles().items():
        world.put(EVIDENCE, c.evidence(name, bundle, {"results.json": c.raw_results()} if name == "evaluation" else None))
    for name, role, username, groups in (("by-owner", "owner", "olga@example.com", ["payments-ml-leads"]), ("by-security", "security", "sam@example.com", [])):
        world.put("ReleaseApproval", c.approval(name, source, role=role, username=username, groups=groups))
    return world


def verify(world: World, count: int | None = None) -> Learnt:
    return world.established([(check, check.verify()) for check in tuple(world.wanted.values())[:count]])


def verdict_of(world: World) -> Verdict:
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return verdict


def test_nothing_serves_before_all_that_it_rests_on_is_verified() -> None:
    world = approved()
    for left in range(len(c.bundles()), 0, -1):
        assert len(world.wanted) == left
        verdict = verdict_of(world)
        assert (verdict.allows, verdict.unverified, verdict.phase) == (Allowance.NOTHING, True, Phase.VERIFYING)
        assert {result.reason for result in verdict.open} <= {Reason.EvidenceUnverified, Reason.ApprovalMissing}
        assert decided(world, pod()).action is Action.HOLD
        learnt = verify(world, 1)
        assert (learnt.releases, len(learnt.evidence)) == (frozenset({c.KEY}), 1)
    assert verdict_of(world) == verdict_of(approved(defers=False))
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_world_that_defers_comes_to_the_verdict_of_one_that_does_not_whatever_the_order() -> None:
    world = approved()
    outcomes = [(check, check.verify()) for check in reversed(list(world.wanted.values()))]
    world.established(outcomes)
    assert verdict_of(world) == verdict_of(approved(defers=False))


def test_what_is_refused_in_the_end_is_held_until_then_and_not_denied() -> None:
    world = approved()
    verify(world)
    world.remove(EVIDENCE, Key(c.NAMESPACE, "server"))
    forged = c.bundles()["server"].replace(b'"sig": "', b'"sig": "AAAA').replace(b'"sig":"', b'"sig":"AAAA')
    assert world.put(EVIDENCE, c.evidence("forged", forged)) == {c.KEY}
    assert decided(world, pod()).action is Action.HOLD
    assert world.evidence[Key(c.NAMESPACE, "forged")].refusal is None
    verify(world)
    assert [result.reason for result in verdict_of(world).open if result.requirement == "built-here"] == [Reason.EvidenceRefused]
    assert decided(world, pod()).action is Action.DENY


def test_more_evidence_that_is_not_verified_yet_takes_nothing_away() -> None:
    world = approved()
    verify(world)
    world.put(EVIDENCE, c.evidence("more", c.sign(c.model_signature_statement(c.WEIGHTS_FILES))))
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_revoked_signer_is_told_though_other_evidence_is_not_verified_yet() -> None:
    world = approved()
    verify(world)
    root = c.trust_root()
    root["spec"]["revoked"] = [TRAINER]
    world.put("TrustRoot", root)
    assert not world.wanted, "revocations are no cryptography"
    world.put(EVIDENCE, c.evidence("more", c.sign(c.model_signature_statement(c.WEIGHTS_FILES))))
    assert (len(world.wanted), verdict_of(world).phase) == (1, Phase.REVOKED)


def named(name: str) -> dict[str, Any]:
    return c.trust_root() | {"metadata": {"name": name}}


def test_a_trust_root_that_changes_wants_what_is_held_against_it_and_nothing_else() -> None:
    world = approved()
    verify(world)
    world.put("TrustRoot", named("second"))
    assert len(world.wanted) == len(c.bundles())
    assert {check.anchors.name for check in world.wanted.values()} == {"second"}
    assert verdict_of(world).allows is Allowance.SERVE, "what was verified against another one is not touched"
    world.remove("TrustRoot", Key("", "second"))
    assert not world.wanted
    # One that is gone proves nothing from that moment on, and everything at once when it is back.
    world.remove("TrustRoot", Key("", "ci"))
    assert verdict_of(world).allows is Allowance.NOTHING
    assert world.put("TrustRoot", c.trust_root()) == {c.KEY}
    assert not world.wanted
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_bundle_is_wanted_once_however_many_have_it_and_forgotten_with_the_last() -> None:
    world = approved()
    verify(world)
    again = c.sign(c.model_signature_statement(c.WEIGHTS_FILES))
    for name in ("one", "two"):
        world.put(EVIDENCE, c.evidence(name, again))
    (check,) = world.wanted.values()
    world.remove(EVIDENCE, Key(c.NAMESPACE, "one"))
    assert list(world.wanted) == [check.key]
    world.remove(EVIDENCE, Key(c.NAMESPACE, "two"))
    assert not world.wanted
    # Verified in vain: it is known when it comes back.
    assert world.established([(check, check.verify())]) == Learnt(releases=frozenset(), evidence=frozenset())
    world.put(EVIDENCE, c.evidence("one", again))
    assert not world.wanted
    assert len(world.evidence[Key(c.NAMESPACE, "one")].facts) == 1


@pytest.mark.parametrize("kind", ["TrustRoot", EVIDENCE])
def test_what_waits_keeps_its_place_when_it_is_written_again(kind: str) -> None:
    world = approved()
    before = list(world.wanted)
    world.put(kind, c.trust_root() if kind == "TrustRoot" else c.evidence("signature", c.bundles()["signature"]))
    assert list(world.wanted) == before


def test_a_requirement_names_the_evidence_that_is_being_verified() -> None:
    world = approved()
    result = next(result for result in verdict_of(world).results if result.requirement == "weights-signed")
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.EvidenceUnverified)
    assert result.message == "ReleaseEvidence evaluation, packaging, server, signature is being verified"
