"""What is revoked stops counting at the next question, says who revoked it and why, and touches nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.api.release import Outcome, Phase
from sluice.api.revocation import OnRevoked
from sluice.decision.gate import Action
from sluice.decision.model import Allowance, Result, Verdict
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.decision.world import World
from sluice.evidence.facts import Fact
from sluice.provenance.signing import SigningKey
from tests.unit.decision import case as c
from tests.unit.decision.test_gate import decided, pod

OTHER = Key(namespace="other", name="fraud-1")
Entry = dict[str, Any]
TRAINER: Entry = {"type": "Identity", "identity": c.TRAINER, "issuer": c.ISSUER, "reason": "runner compromised"}


def revoke(world: World, *entries: Entry, on: str = "TrustRoot", **policy: Any) -> frozenset[Key]:  # noqa: ANN401 - fields of the spec
    """Revoke on the TrustRoot, or on the ReleasePolicy, and nowhere else; return whom that touches."""
    if on == "TrustRoot":
        root = c.trust_root()
        root["spec"]["revoked"] = list(entries)
        return world.put("TrustRoot", root)
    return world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", c.policy_spec() | {"revoked": list(entries)} | policy, namespace=""))


def verdict_of(world: World, key: Key = c.KEY) -> Verdict:
    verdict = world.verdict(key, now=c.NOW)
    assert verdict is not None
    return verdict


def fact_of(world: World, name: str) -> Fact:
    (fact,) = world.evidence[Key(namespace=c.NAMESPACE, name=name)].facts
    return fact


def result_of(verdict: Verdict, name: str) -> Result:
    (result,) = (result for result in verdict.results if result.requirement == name)
    return result


def entry_for(what: str) -> Entry:
    signer, release = fact_of(c.verified_world(), "signature").signer, verdict_of(c.verified_world()).release_digest
    by_what: dict[str, Entry] = {
        "identity": TRAINER,
        "leaf": {"type": "Certificate", "fingerprint": signer.chain_fingerprints[0]},
        "ca": {"type": "Certificate", "fingerprint": signer.chain_fingerprints[-1]},
        "serial": {"type": "Certificate", "serial": signer.serial, "issuedBy": signer.chain_fingerprints[1]},
        "key": {"type": "Key", "fingerprint": signer.key_fingerprint},
        "release": {"type": "Release", "digest": release},
        "artifact": {"type": "Artifact", "digest": c.weights_digest()},
        "carrier": {"type": "Artifact", "digest": c.CARRIER},
        "source": {"type": "Artifact", "digest": c.digest_of("source")},
    }
    return {"reason": "it was stolen"} | by_what[what]


SIGNERS = ["identity", "leaf", "ca", "serial", "key"]
DIGESTS = {"release": Reason.ReleaseRevoked, "artifact": Reason.ArtifactRevoked, "carrier": Reason.ArtifactRevoked, "source": Reason.ArtifactRevoked}


@pytest.mark.parametrize("on", ["TrustRoot", "ReleasePolicy"])
@pytest.mark.parametrize("what", SIGNERS)
def test_a_signature_of_somebody_who_was_revoked_counts_no_more(what: str, on: str) -> None:
    world, entry = c.approved_world(), entry_for(what)
    assert verdict_of(world).allows is Allowance.SERVE
    assert revoke(world, entry, on=on) == {c.KEY}
    verdict = verdict_of(world)
    assert (verdict.allows, verdict.phase, verdict.revoked) == (Allowance.NOTHING, Phase.REVOKED, True)
    first = verdict.open[0]
    assert (first.outcome, first.reason, first.requirement) == (Outcome.FAILED, Reason.SignerRevoked, "weights-signed")
    by = "TrustRoot ci" if on == "TrustRoot" else "ReleasePolicy customer-facing"
    assert f"{by} revoked " in first.message
    assert entry["reason"] in first.message
    assert decided(world, pod()).action is Action.DENY
    # And it takes effect the other way round as well.
    assert revoke(world, on=on) == {c.KEY}
    assert verdict_of(world).allows is Allowance.SERVE


@pytest.mark.parametrize("on", ["TrustRoot", "ReleasePolicy"])
@pytest.mark.parametrize("what", list(DIGESTS))
def test_a_release_is_revoked_by_its_digest_and_by_those_of_what_it_consists_of_and_was_made_from(what: str, on: str) -> None:
    world = c.approved_world()
    assert revoke(world, entry_for(what), on=on) == {c.KEY}
    verdict = verdict_of(world)
    assert (verdict.allows, verdict.phase, verdict.open[0].reason) == (Allowance.NOTHING, Phase.REVOKED, DIGESTS[what])
    assert "it was stolen" in verdict.open[0].message
    assert decided(world, pod()).action is Action.DENY


@pytest.mark.parametrize(
    "entry",
    [
        TRAINER | {"issuer": "https://elsewhere.example.com"},
        TRAINER | {"identity": c.TRAINER + "x"},
        {"type": "Certificate", "serial": "1", "issuedBy": c.digest_of("ca")},
        {"type": "Key", "key": "trainer"},
        {"type": "Key", "fingerprint": c.digest_of("key")},
        {"type": "Release", "digest": c.weights_digest()},
        {"type": "Artifact", "digest": c.digest_of("another")},
    ],
)
def test_what_is_not_named_is_not_touched(entry: Entry) -> None:
    world = c.approved_world()
    assert revoke(world, {"reason": "x"} | entry) == frozenset()
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_serial_number_counts_for_the_ca_that_gave_it() -> None:
    world = c.approved_world()
    revoke(world, entry_for("serial") | {"issuedBy": c.digest_of("another CA")})
    assert verdict_of(world).allows is Allowance.SERVE


@pytest.mark.parametrize(("seconds", "counts"), [(-1, False), (0, False), (1, True)])
def test_since_leaves_what_was_signed_before(seconds: int, counts: bool) -> None:
    world = c.approved_world()
    signed_at = fact_of(world, "signature").signed_at
    assert signed_at is not None
    revoke(world, TRAINER | {"since": (signed_at + timedelta(seconds=seconds)).isoformat()})
    assert (result_of(verdict_of(world), "weights-signed").outcome is Outcome.SATISFIED) is counts


def test_other_evidence_takes_the_place_of_what_was_revoked_and_people_look_again() -> None:
    world = c.approved_world()
    newer = c.sign(c.model_signature_statement(c.WEIGHTS_FILES), when=c.NOW - timedelta(minutes=30))
    world.put("ReleaseEvidence", c.evidence("signed-again", newer))
    before = verdict_of(world)
    assert before.allows is Allowance.SERVE
    revoke(world, {"type": "Certificate", "fingerprint": fact_of(world, "signature").signer.chain_fingerprints[0], "reason": "stolen"})
    after = verdict_of(world)
    assert result_of(after, "weights-signed").outcome is Outcome.SATISFIED
    assert not after.revoked
    # What people signed off on is not what the verdict rests on now.
    assert after.evidence_digest != before.evidence_digest
    assert [finding.reason for finding in after.approvals] == [Reason.EvidenceChanged, Reason.EvidenceChanged]


def test_a_revocation_that_takes_nothing_away_changes_nothing() -> None:
    world = c.approved_world()
    spare = c.sign(c.model_signature_statement(c.WEIGHTS_FILES), when=c.NOW - timedelta(minutes=30))
    world.put("ReleaseEvidence", c.evidence("spare", spare))
    before = verdict_of(world)
    revoke(world, {"type": "Certificate", "fingerprint": fact_of(world, "spare").signer.chain_fingerprints[0], "reason": "stolen"})
    assert verdict_of(world) == before


def test_evidence_that_would_not_have_sufficed_is_missing_and_not_revoked() -> None:
    world = c.approved_world()
    world.remove("ReleaseEvidence", Key(namespace=c.NAMESPACE, name="signature"))
    revoke(world, TRAINER)
    assert result_of(verdict_of(world), "weights-signed").reason is Reason.EvidenceMissing
    assert result_of(verdict_of(world), "built-here").reason is Reason.SignerRevoked


def test_evidence_that_had_expired_anyway_is_revoked_all_the_same() -> None:
    world = c.approved_world()
    revoke(world, {"type": "Identity", "identity": c.EVALUATOR, "issuer": c.ISSUER, "reason": "stolen"})
    later = world.verdict(c.KEY, now=c.NOW + timedelta(days=60))
    assert later is not None
    assert (result_of(later, "quality").reason, later.phase) == (Reason.SignerRevoked, Phase.REVOKED)


def waived(world: World) -> World:
    spec = {
        "release": {"name": c.NAME}, "releaseDigest": verdict_of(world).release_digest, "requirements": ["weights-signed"], "reason": "is signed again today",
        "riskOwner": "payments-risk", "ticket": "https://changes.example.com/1", "expires": (c.NOW + timedelta(days=1)).isoformat(),
        "approver": {"username": "sam@example.com", "groups": []},
    }  # fmt: skip
    c.waive(world, c.item("ReleaseWaiver", "w", spec))
    return world


def test_a_waiver_covers_a_signer_who_was_revoked_and_nothing_that_was_found_about_the_release() -> None:
    leaf = entry_for("leaf")
    world = waived(c.approved_world())
    revoke(world, leaf)
    assert (result_of(verdict_of(world), "weights-signed").outcome, verdict_of(world).revoked) == (Outcome.WAIVED, False)
    revoke(world, entry_for("artifact"))
    assert verdict_of(world).phase is Phase.REVOKED


def signed_with(key: SigningKey, statement: Any) -> bytes:  # noqa: ANN401 - a statement is JSON
    subjects = {subject["name"]: f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]}
    return key.sign(predicate_type=statement["predicateType"], subjects=subjects, predicate=statement["predicate"])


def test_a_key_is_revoked_by_its_name_in_the_trust_root_that_holds_it() -> None:
    world, key = c.approved_world(), SigningKey.generate()
    bundle = signed_with(key, c.model_signature_statement(c.WEIGHTS_FILES))
    world.remove("ReleaseEvidence", Key(namespace=c.NAMESPACE, name="signature"))
    world.put("ReleaseEvidence", c.evidence("by-key", bundle))
    keys = {"keys": [{"name": "trainer", "pem": key.public_pem}]}
    policy = c.policy_spec()
    policy["signers"].append({"name": "by-key", "trustRoot": "plain", "key": "trainer", "may": ["ModelSignature"]})
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", policy, namespace=""))

    def revoked_by(entry: Entry, root: str = "plain") -> frozenset[Key]:
        world.put("TrustRoot", c.item("TrustRoot", "plain", keys, namespace=""))
        world.put("TrustRoot", c.trust_root())
        spec = keys if root == "plain" else c.trust_root()["spec"]
        return world.put("TrustRoot", c.item("TrustRoot", root, spec | {"revoked": [{"type": "Key", "reason": "stolen"} | entry]}, namespace=""))

    assert revoked_by({"key": "another"}) == frozenset()
    assert result_of(verdict_of(world), "weights-signed").outcome is Outcome.SATISFIED
    # A name is one of the trust root that says so; a fingerprint is the same key everywhere. Without a trusted time every signature may be from later.
    assert revoked_by({"key": "trainer"}, root="ci") == frozenset()
    assert revoked_by({"key": "trainer"}) == {c.KEY}
    assert "TrustRoot plain revoked key trainer: stolen" in result_of(verdict_of(world), "weights-signed").message
    assert revoked_by({"fingerprint": fact_of(world, "by-key").signer.key_fingerprint}, root="ci") == {c.KEY}
    assert revoked_by({"key": "trainer", "since": "2099-01-01T00:00:00Z"}) == {c.KEY}
    assert result_of(verdict_of(world), "weights-signed").reason is Reason.SignerRevoked


def test_a_policy_revokes_for_the_releases_that_it_selects_only() -> None:
    world = c.approved_world()
    narrow = c.policy_spec() | {"selector": {"namespaces": {"matchLabels": {"team": "x"}}}, "revoked": [entry_for("release")]}
    world.put("ReleasePolicy", c.item("ReleasePolicy", "of-others", narrow, namespace=""))
    assert verdict_of(world).allows is Allowance.SERVE
    world.put("Namespace", c.namespace(team="x"))
    assert verdict_of(world).phase is Phase.REVOKED


@pytest.mark.parametrize("material", [{}, {"sigstore": {"trustedRoot": "{"}}, {"keys": 7}, {"sigstore": {"trustedRoot": "{}"}, "later": "field"}])
def test_what_was_revoked_stays_so_when_the_trust_material_cannot_be_read(material: Entry) -> None:
    world = c.approved_world()
    world.put("TrustRoot", c.item("TrustRoot", "list", material | {"revoked": [entry_for("release")]}, namespace=""))
    assert verdict_of(world).phase is Phase.REVOKED


def test_what_a_policy_revoked_stays_so_when_the_policy_cannot_be_used() -> None:
    world = c.approved_world()
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", c.policy_spec() | {"tiers": 7, "revoked": [entry_for("release")]}, namespace=""))
    assert (verdict_of(world).phase, verdict_of(world).on_revoked) == (Phase.REVOKED, OnRevoked.WITHDRAW)


@pytest.mark.parametrize("entries", [7, [{"type": "Everything", "reason": "x"}], [TRAINER | {"new": 1}], [{"type": "Release"}]])
def test_revocations_that_cannot_be_read_might_name_any_release_and_hold_it(entries: object) -> None:
    world = c.approved_world()
    assert world.put("TrustRoot", c.item("TrustRoot", "list", {"revoked": entries}, namespace="")) == {c.KEY}
    verdict = verdict_of(world)
    assert (verdict.allows, verdict.hopeless, verdict.open[0].reason) == (Allowance.NOTHING, False, Reason.RevocationUnreadable)
    assert decided(world, pod()).action is Action.HOLD
    assert world.remove("TrustRoot", Key(namespace="", name="list")) == {c.KEY}
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_revocation_counts_also_where_no_policy_selects_the_release() -> None:
    world = c.approved_world()
    world.remove("ReleasePolicy", Key(namespace="", name="customer-facing"))
    revoke(world, entry_for("release"))
    assert (verdict_of(world).phase, verdict_of(world).on_revoked) == (Phase.REVOKED, OnRevoked.WITHDRAW)


@pytest.mark.parametrize(
    ("asks", "follows"),
    [
        ((None,), OnRevoked.WITHDRAW), (("Alert",), OnRevoked.ALERT), (("ScaleToZero",), OnRevoked.SCALE_TO_ZERO),
        (("Alert", "Withdraw"), OnRevoked.WITHDRAW), (("ScaleToZero", "Alert"), OnRevoked.SCALE_TO_ZERO),
    ],
)  # fmt: skip
def test_of_what_policies_ask_for_the_strongest_follows(asks: tuple[str | None, ...], follows: OnRevoked) -> None:
    world = c.approved_world()
    for number, ask in enumerate(asks):
        name = "customer-facing" if number == 0 else f"further-{number}"
        world.put("ReleasePolicy", c.item("ReleasePolicy", name, c.policy_spec() | ({"onRevoked": ask} if ask else {}), namespace=""))
    assert verdict_of(world).on_revoked is follows


def test_a_digest_in_a_namespace_of_others_is_found_no_model_once_its_signer_is_revoked() -> None:
    world = c.approved_world()
    assert world.serves([c.CARRIER], "other") == {c.CARRIER: c.NAME}
    revoke(world, TRAINER)
    assert world.serves([c.CARRIER], "other") == {}


def test_a_change_of_revocations_verifies_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = c.approved_world()
    monkeypatch.setattr("sluice.evidence.fact_cache.establish", lambda *_: pytest.fail("it was verified again"))
    revoke(world, TRAINER, entry_for("artifact"))
    assert verdict_of(world).phase is Phase.REVOKED
