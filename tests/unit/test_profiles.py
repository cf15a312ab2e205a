"""The profiles work: as they are they let nothing through, and with real names they let through what has everything, and nothing that lacks a part."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.names import PROFILE_LABEL
from sluice.api.policy import PolicySpec
from sluice.api.release import Outcome, Phase
from sluice.cli.manifests import check_rules
from sluice.decision.model import Allowance, Policy
from sluice.decision.policies import read_policy
from sluice.decision.problems import policy_problems
from tests.unit.decision import case as c
from tests.unit.profile_bench import NAMES, Bench, profile, release_spec

every_profile = pytest.mark.parametrize("name", NAMES)
BY_NOBODY = {"Condition", "RollbackPlan", "ResidualRisk", "Canary", "RollbackDrill", "Authority"}
"""Types that a first release meets by what it says of itself, or by what the cluster does not grant."""
ASKED_OF = {
    "signature": "weights-signed", "packaging": "weights-signed", "server": "built-by-ci", "sidecar": "built-by-ci", "training": "lineage",
    "dataset": "lineage", "ticket": "ticket", "impact": "impact", "vendor": "vendor",
}  # fmt: skip
"""The requirement for which each piece of evidence is there, where the profile has it."""


def test_there_are_five() -> None:
    assert NAMES == ["agentic-tools", "customer-facing", "low-impact", "regulated", "third-party-hosted"]


@every_profile
def test_a_cluster_takes_it_and_it_can_be_used(name: str) -> None:
    found = profile(name)
    check_rules(found)
    assert found["metadata"]["name"] == name
    assert found["spec"]["selector"]["namespaces"]["matchLabels"] == {PROFILE_LABEL: name}
    assert isinstance(read_policy(name, found), Policy)


@every_profile
def test_all_that_it_lacks_is_trust_and_its_author_is_told_of_each_signer(name: str) -> None:
    spec = PolicySpec.model_validate(profile(name)["spec"])
    problems = policy_problems(spec, {})
    assert {str(problem.reason) for problem in problems} == {"TrustRootNotFound"}
    assert len(problems) == len(spec.signers)


@every_profile
def test_as_it_is_it_believes_nobody(name: str) -> None:
    results = Bench(name, replaced=False).verdict().results
    met = {str(result.type) for result in results if result.outcome is Outcome.SATISFIED}
    assert met <= BY_NOBODY
    spec = PolicySpec.model_validate(profile(name)["spec"])
    assert all(subject.name.startswith("replace-me") for role in spec.roles for subject in role.subjects)


@every_profile
def test_a_release_that_has_everything_waits_for_its_people_and_then_serves(name: str) -> None:
    bench = Bench(name)
    assert bench.lacks() == set()
    assert (bench.verdict().allows, bench.verdict().phase) == (Allowance.NOTHING, Phase.AWAITING_APPROVAL)
    served = bench.approved().verdict()
    assert served.allows is Allowance.SERVE
    # A first release fires the triggers: nothing that the profile has was left out.
    assert {result.requirement for result in served.results} == {each["name"] for each in bench.policy["spec"]["requirements"]}


@every_profile
def test_a_release_that_lacks_one_piece_of_evidence_is_held_by_the_requirement_that_asks_for_it(name: str) -> None:
    bench = Bench(name)
    asked = {each["name"]: {measure.get("suite", each["name"]) for measure in each.get("measures", ())} for each in bench.policy["spec"]["requirements"]}
    for piece, item in bench.evidence.items():
        expected = {name for name, suites in asked.items() if piece in suites or ASKED_OF.get(piece) == name.removeprefix("gateway-")}
        bench.world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name=piece))
        assert bench.lacks() >= expected, piece
        assert bool(bench.lacks()) is bool(expected), piece
        bench.world.put("ReleaseEvidence", item)
    assert bench.lacks() == set()


AUTHORITY = release_spec("agentic-tools")["authority"]


@pytest.mark.parametrize(
    ("name", "fields", "requirement"),
    [
        ("low-impact", {"authority": {"tools": [{"name": "refund", "effect": "Write"}]}}, "low-impact"),
        ("low-impact", {"authority": {"dataClasses": ["CustomerRecords"]}}, "low-impact"),
        ("customer-facing", {"rollback": None}, "way-back"),
        ("agentic-tools", {"authority": AUTHORITY | {"secrets": [{"name": "token"}]}}, "secrets-expire"),
        ("agentic-tools", {"authority": AUTHORITY | {"egress": [{"host": "*.example.com", "port": 443}]}}, "egress-by-name"),
        ("agentic-tools", {"artifacts": release_spec("agentic-tools")["artifacts"][:2]}, "filters-run"),
        ("agentic-tools", {"rollback": {"criteria": "any"}}, "way-back"),
        ("regulated", {"residualRisk": {"owner": "somebody", "statement": "none"}}, "risk-owner"),
        ("regulated", {"authority": {}}, "data-in-scope"),
        ("regulated", {"change": {"type": "Train"}}, "ticket"),
        ("third-party-hosted", {"vendor": None}, "names-its-vendor"),
        ("third-party-hosted", {"artifacts": release_spec("regulated")["artifacts"]}, "names-its-vendor"),
    ],
)
def test_a_release_that_does_not_fit_its_profile_is_refused_for_good(name: str, fields: dict[str, Any], requirement: str) -> None:
    verdict = Bench(name, **fields).verdict()
    (result,) = [result for result in verdict.results if result.requirement == requirement]
    assert (result.outcome, verdict.hopeless) == (Outcome.FAILED, True)


def test_tools_that_only_read_are_attacked_and_signed_off_by_security_only_when_they_grow() -> None:
    reading = Bench("agentic-tools", authority=AUTHORITY | {"tools": [{"name": "crm.read", "effect": "Read"}]}).verdict()
    assert reading.tier == "reading"
    assert {fired.trigger for fired in reading.fired} == {"more-authority"}
    assert {"attacks", "security-approval"} <= {result.requirement for result in reading.results}
