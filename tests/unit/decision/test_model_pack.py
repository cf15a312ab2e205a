"""Weights in a ModelPack artifact: the manifest shows by itself that it carries the signed files, so nobody has to say it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.sigstore import model_signature_statement
from sluice.decision.reasons import Reason
from sluice.provenance.digests import sha256_of
from tests.unit.decision import case as c
from tests.unit.decision.test_decide import result_of, verdict_of
from tests.unit.evidence.made import modelpack


def encoded(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest).encode()


MANIFEST = encoded(modelpack(c.WEIGHTS_FILES))
CARRIER = sha256_of(MANIFEST)


def world(carrier: str = CARRIER, *, attached: bytes | None = MANIFEST, identity: str = c.TRAINER, alone: bool = True) -> c.World:
    """A release whose weights are in this manifest, with no word from whoever packed it."""
    made = c.verified_world()
    made.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="packaging"))
    if alone:
        made.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    spec = c.release_spec()
    spec["artifacts"][0]["uri"] = f"oci://registry.example.com/churn@{carrier}"
    made.put("ModelRelease", c.item("ModelRelease", c.NAME, spec))
    files = None if attached is None else {"manifest.json": attached}
    made.put("ReleaseEvidence", c.evidence("packed", c.sign(model_signature_statement(c.WEIGHTS_FILES), identity=identity), files))
    return made


def reason(made: c.World) -> Reason:
    return result_of(verdict_of(made), "weights-signed").reason


def test_a_signature_with_the_manifest_that_the_release_pins_is_enough() -> None:
    assert reason(world()) is Reason.SignatureVerified


@pytest.mark.parametrize("attached", [None, encoded(modelpack(c.WEIGHTS_FILES) | {"annotations": {"a": "b"}})])
def test_without_the_manifest_or_with_another_one_somebody_has_to_say_it(attached: bytes | None) -> None:
    result = result_of(verdict_of(world(attached=attached)), "weights-signed")
    assert result.reason is Reason.CarrierUnbound
    assert "attach the manifest of a ModelPack artifact" in (result.remedy or "")


def test_a_manifest_of_other_files_is_refused_with_the_evidence() -> None:
    other = encoded(modelpack(c.WEIGHTS_FILES | {"config.json": b"[]"}))
    result = result_of(verdict_of(world(sha256_of(other), attached=other)), "weights-signed")
    assert (result.reason, "AttachmentMismatch" in result.message) == (Reason.EvidenceRefused, True)


def test_a_signature_of_a_stranger_counts_no_more_for_having_a_manifest() -> None:
    assert reason(world(identity="mallory@example.com")) is Reason.SignerNotPermitted
    # It shows what the manifest carries all the same: one list has one digest, whoever signs it.
    assert reason(world(identity="mallory@example.com", alone=False)) is Reason.SignatureVerified


def test_a_pod_that_runs_the_manifest_and_names_no_release_is_known_to_carry_the_model() -> None:
    assert world().serves([CARRIER], "elsewhere") == {CARRIER: c.NAME}
    assert world(attached=None).serves([CARRIER], "elsewhere") == {}
