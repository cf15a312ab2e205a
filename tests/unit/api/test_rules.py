"""What the API server refuses although every field by itself is right is refused where there is no API server, with its words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.api.kinds import KINDS
from sluice.api.rules import broken_rules

EXAMPLES = Path(__file__).parents[3] / "examples"
Object = dict[str, Any]
KEY = {"name": "a", "pem": "x"}
SUM = "sha256:" + "a" * 64


def trust(**spec: Any) -> Object:  # noqa: ANN401 - fields of the spec
    return {"kind": "TrustRoot", "spec": {"keys": [KEY]} | spec}


def example(name: str) -> list[Object]:
    return list(yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_what_a_cluster_takes_breaks_no_rule(kind: str) -> None:
    assert [list(broken_rules(item)) for item in example(kind) if item["kind"] == kind] == [[]]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (trust(sigstore={"trustedRoot": "{}"}), "spec: set exactly one of sigstore, keys, certificateAuthorities"),
        (trust(keys=[KEY, KEY]), "spec.keys: a is there twice"),
        (
            trust(revoked=[{"type": "Identity", "identity": "https://ci", "reason": "left"}]),
            "spec.revoked[0].issuer: issuer goes with type Identity, which needs it",
        ),
        (trust(revoked=[{"type": "Key", "key": "a", "fingerprint": SUM, "reason": "lost"}]), "spec.revoked[0].key: say which key: set exactly one of"),
        (trust(revoked=[{"type": "Release", "reason": "bad"}]), "spec.revoked[0].digest: digest goes with types Release and Artifact, which need it"),
        (
            {"kind": "TrustRoot", "spec": {"certificateAuthorities": {"pem": "x"}}},
            "spec.certificateAuthorities: give timestampPem, or set undated to Accept: otherwise no signature could ever count",
        ),
    ],
)
def test_a_broken_rule_is_told_with_its_field(item: Object, said: str) -> None:
    assert any(told.startswith(said) for told in broken_rules(item)), list(broken_rules(item))


def test_a_field_that_is_null_is_not_there() -> None:
    assert list(broken_rules(trust(sigstore=None, revoked=None))) == []


def test_defaults_stand_where_the_api_server_would_set_them() -> None:
    """A rule of the protocol reads `answers`, which has a default."""
    (suite,) = example("ScoringSuite")
    suite["spec"]["protocol"].pop("answers", None)
    before = yaml.safe_dump(suite)
    assert list(broken_rules(suite)) == []
    assert yaml.safe_dump(suite) == before


def test_a_policy_that_no_cluster_takes_is_told_by_each_of_its_rules() -> None:
    (policy,) = example("ReleasePolicy")
    policy["spec"]["signers"][0]["identity"] = "https://git.example.com/*"
    assert list(broken_rules(policy)) == ["spec.signers[0].identity: identity is compared exactly; wildcards are not supported"]


@pytest.mark.parametrize("spec", [None, [], "keys", {"keys": 1}, {"revoked": [{"type": "Kee"}]}, {"keys": [KEY], "sigstores": {}}])
def test_of_a_spec_that_cannot_be_read_nothing_is_said_here(spec: object) -> None:
    assert list(broken_rules({"kind": "TrustRoot", "spec": spec})) == []


def test_of_a_kind_of_others_nothing_is_said() -> None:
    assert list(broken_rules({"kind": "Deployment", "spec": {"replicas": "many"}})) == []
    assert list(broken_rules({})) == []
