"""The examples belong together: who applies all of them sees what is still missing, and nothing that could never become right."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import CliRunner

from sluice.api.policy import PolicySpec
from sluice.cli import main
from sluice.decision.problems import policy_problems
from sluice.decision.records import TrustRoot

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = [option for path in sorted(EXAMPLES.glob("*.yaml")) if path.name not in {"HubModel.yaml", "VendorModel.yaml"} for option in ("-f", str(path))]


def test_nothing_of_the_examples_contradicts_another() -> None:
    answer = json.loads(CliRunner().invoke(main, ["verify", "release", "mr/churn-2-1-0", "-n", "payments", *FILES, "-o", "json"]).stdout)
    outcomes = {one["name"]: one["outcome"] for one in answer["requirements"]}
    assert set(outcomes.values()) == {"Satisfied", "Missing", "Waived"} & set(outcomes.values())
    assert outcomes["quality"] == "Satisfied"
    assert answer["phase"] == "AwaitingEvidence"
    approval = yaml.safe_load((EXAMPLES / "ReleaseApproval.yaml").read_text())["spec"]
    assert (approval["releaseDigest"], approval["evidenceDigest"]) == (answer["releaseDigest"], answer["evidenceDigest"])


def test_the_policy_lacks_nothing_but_the_trust_root_of_a_sigstore_instance() -> None:
    policy = yaml.safe_load((EXAMPLES / "ReleasePolicy.yaml").read_text())
    root = yaml.safe_load((EXAMPLES / "TrustRoot.yaml").read_text())
    problems = policy_problems(PolicySpec.model_validate(policy["spec"]), {"ci": TrustRoot.of("ci", root)})
    assert [str(problem.reason) for problem in problems] == ["TrustRootNotFound"]
    assert "sigstore-public" in problems[0].message


def test_a_signer_whom_no_trust_root_can_verify_is_named() -> None:
    policy = PolicySpec.model_validate(yaml.safe_load((EXAMPLES / "ReleasePolicy.yaml").read_text())["spec"])
    root = TrustRoot.of("ci", yaml.safe_load((EXAMPLES / "TrustRoot.yaml").read_text()))
    problems = policy_problems(policy, {"ci": root, "sigstore-public": root})
    assert [str(problem.reason) for problem in problems] == ["SignerUnverifiable"]
    assert problems[0].message == "spec.signers[trainer-ci].identity: TrustRoot 'sigstore-public' has keys only, and keys have no identity"
    assert "in place of issuer and identity name one of its keys (data-office, eval-ci) as spec.signers[" in problems[0].remedy
