"""What `kubectl explain` shows, and examples that are what they claim to be."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.api.crd import crd
from sluice.api.kinds import KINDS, Kind
from sluice.api.trust import TrustRootSpec
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.trust import TrustAnchors

EXAMPLES = Path(__file__).parents[3] / "examples"
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


def example(name: str) -> dict[str, Any]:
    obj: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return obj


def properties(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from properties(child, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from properties(schema[part], f"{path}[]")


@every_kind
def test_every_field_says_what_it_is_for(kind: Kind) -> None:
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    silent = [path for path, child in properties(schema, kind.name) if not child.get("description")]
    assert silent == [f"{kind.name}.{name}" for name in ("apiVersion", "kind", "metadata")], "Kubernetes describes these three itself"


@every_kind
def test_every_rule_says_what_is_wrong(kind: Kind) -> None:
    rules = [rule for _, child in properties({"properties": {"spec": crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]}}, kind.name)
             for rule in child.get("x-kubernetes-validations", [])]  # fmt: skip
    assert [rule for rule in rules if not rule.get("message")] == []


@every_kind
def test_there_is_an_example_that_uses_every_field_of_the_release(kind: Kind) -> None:
    obj = example(kind.name)
    assert obj["kind"] == kind.name
    spec = kind.spec.model_validate(obj["spec"])
    if kind.name == "ModelRelease":
        # Weights of our own and a model that a vendor runs are two stories.
        vendors = [obj for obj in yaml.safe_load_all((EXAMPLES / "VendorModel.yaml").read_text()) if obj["kind"] == kind.name]
        shown = spec.model_fields_set.union(*(kind.spec.model_validate(obj["spec"]).model_fields_set for obj in vendors))
        assert not shown ^ set(type(spec).model_fields), "examples of releases show all there is"


def test_the_evidence_of_the_examples_verifies_with_their_trust_root() -> None:
    trust = TrustRootSpec.model_validate(example("TrustRoot")["spec"])
    anchors = TrustAnchors.keys("ci", {key.name: key.pem for key in trust.keys or ()})
    bundle = base64.b64decode(example("ReleaseEvidence")["spec"]["bundle"]["inline"])
    verify_bundle(bundle, anchors)
