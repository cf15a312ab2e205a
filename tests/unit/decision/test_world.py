"""What a change touches, and that bad objects stay where they are."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.decision.records import Key
from sluice.decision.world import World
from tests.unit.decision import case as c
from tests.unit.decision import signed

OTHER = Key(namespace="other", name="fraud-1")


def two_releases() -> World:
    world = c.approved_world()
    world.put("Namespace", c.namespace("other"))
    spec = c.release_spec() | {"model": "fraud", "artifacts": [{"name": "w", "type": "Weights", "digest": c.digest_of("fraud")}]}
    world.put("ModelRelease", c.item("ModelRelease", "fraud-1", spec, namespace="other"))
    return world


def test_evidence_touches_only_releases_of_its_namespace_that_it_speaks_of() -> None:
    world = two_releases()
    assert world.put("ReleaseEvidence", c.evidence("again", c.bundles()["signature"])) == {c.KEY}
    elsewhere = c.evidence("again", c.bundles()["signature"])
    elsewhere["metadata"]["namespace"] = "other"
    assert world.put("ReleaseEvidence", elsewhere) == frozenset()
    assert world.remove("ReleaseEvidence", Key(namespace=c.NAMESPACE, name="again")) == {c.KEY}


def test_evidence_of_another_namespace_helps_nobody_else() -> None:
    world = c.verified_world()
    moved = c.evidence("signature", c.bundles()["signature"])
    world.remove("ReleaseEvidence", Key.of(moved))
    moved["metadata"]["namespace"] = "other"
    world.put("ReleaseEvidence", moved)
    assert "weights-signed" in {r.requirement for r in world.verdict(c.KEY, now=c.NOW).open}  # type: ignore[union-attr]


def test_an_approval_touches_only_the_release_it_names() -> None:
    world = two_releases()
    assert world.put("ReleaseApproval", c.approval("x", world, role="owner", username="x", groups=[])) == {c.KEY}


def test_a_policy_touches_the_releases_it_selects_before_or_after() -> None:
    world = two_releases()
    assert world.put("ReleasePolicy", c.item("ReleasePolicy", "p", c.policy_spec(), namespace="")) == {c.KEY, OTHER}
    narrow = c.policy_spec() | {"selector": {"namespaces": {"matchLabels": {"team": "x"}}}}
    world.put("Namespace", c.namespace("other", team="x"))
    assert world.put("ReleasePolicy", c.item("ReleasePolicy", "q", narrow, namespace="")) == {OTHER}
    assert world.remove("ReleasePolicy", Key(namespace="", name="q")) == {OTHER}


def test_a_trust_root_touches_only_releases_whose_facts_change_or_whose_signers_it_verifies() -> None:
    world = two_releases()
    assert world.put("TrustRoot", c.trust_root()) == frozenset()
    assert world.put("TrustRoot", c.item("TrustRoot", "twin", c.trust_root()["spec"], namespace="")) == {c.KEY}
    assert world.remove("TrustRoot", Key(namespace="", name="twin")) == {c.KEY}
    assert world.put("TrustRoot", signed.trust_root()) == frozenset(), "nobody names it, and it verifies nothing"
    assert world.remove("TrustRoot", Key(namespace="", name="ci")) == {c.KEY, OTHER}
    assert world.remove("TrustRoot", Key(namespace="", name="people")) == {c.KEY, OTHER}, "it was among those that a policy could name instead"
    assert world.put("TrustRoot", c.trust_root()) == {c.KEY, OTHER}


def test_a_namespace_touches_its_releases_when_its_labels_change() -> None:
    world = two_releases()
    assert world.put("Namespace", c.namespace("other")) == frozenset()
    assert world.put("Namespace", c.namespace("other", team="x")) == {OTHER}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ModelRelease", None),
        ("ModelRelease", {"model": 3}),
        ("ReleaseEvidence", {"bundle": {"inline": "%%%"}}),
        ("ReleaseEvidence", {"bundle": {"inline": "e30="}}),
        ("ReleaseEvidence", {"bundle": {"inline": "W1tbW1tbW1tbW1tbW1tb"}}),
        ("ReleaseEvidence", 7),
        ("ReleaseApproval", {}),
        ("ReleaseWaiver", {"expires": 3}),
        ("ReleasePolicy", {"selector": "everything"}),
        ("TrustRoot", {"sigstore": {"trustedRoot": "{"}}),
        ("TrustRoot", {"keys": [{"name": "k", "pem": "no"}]}),
        ("TrustRoot", {}),
    ],
)
def test_an_object_that_cannot_be_read_raises_nothing_and_helps_nobody(kind: str, spec: Any) -> None:  # noqa: ANN401 - anything at all
    world = c.verified_world()
    before = world.verdict(c.KEY, now=c.NOW)
    broken = {"kind": kind, "metadata": {"name": "broken", "namespace": "" if kind in {"ReleasePolicy", "TrustRoot"} else c.NAMESPACE}, "spec": spec}
    world.put(kind, broken)
    after = world.verdict(c.KEY, now=c.NOW)
    assert after is not None
    assert before is not None
    assert after.allows.value != "Serve"
    if kind != "ReleasePolicy":
        assert after == before
    world.remove(kind, Key.of(broken))
    assert world.verdict(c.KEY, now=c.NOW) == before


@pytest.mark.parametrize("inline", ["%%%", "e30", "aÿ"])
def test_broken_base64_says_which_field_and_how_to_mend_it(inline: str) -> None:
    world = c.verified_world()
    world.put("ReleaseEvidence", c.item("ReleaseEvidence", "broken", {"bundle": {"inline": inline}}))
    refusal = world.evidence[Key(namespace=c.NAMESPACE, name="broken")].refusal
    assert refusal is not None
    assert refusal.reason == "Base64Malformed"
    assert "spec.bundle.inline" in refusal.message


def test_a_namespace_cannot_claim_the_images_of_others_as_its_model() -> None:
    world = c.verified_world()
    world.put("Namespace", c.namespace("evil"))
    claim = c.release_spec() | {"artifacts": [{"name": "w", "type": "Weights", "uri": f"oci://registry.example.com/proxy@{c.SERVER}", "digest": c.SERVER}]}
    world.put("ModelRelease", c.item("ModelRelease", "a-claim", claim, namespace="evil"))
    provenance = c.evidence("server", c.bundles()["server"])
    provenance["metadata"]["namespace"] = "evil"
    world.put("ReleaseEvidence", provenance)
    assert world.serves([c.SERVER], "evil") == {c.SERVER: "a-claim"}
    assert world.serves([c.SERVER], c.NAMESPACE) == {}
    assert world.serves([c.SERVER], "other") == {}


def test_a_model_is_known_everywhere_once_a_permitted_signer_ties_its_image_to_it() -> None:
    world = c.verified_world()
    assert world.serves([c.CARRIER], "other") == {c.CARRIER: c.NAME}
    world.remove("ReleaseEvidence", Key(namespace=c.NAMESPACE, name="packaging"))
    assert world.serves([c.CARRIER], "other") == {}
    assert world.serves([c.CARRIER], c.NAMESPACE) == {c.CARRIER: c.NAME}
