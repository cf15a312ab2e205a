"""Whose word counts: by claims of the certificate, for the builders that policy pairs with the signer, and by verifiers that policy names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from e2e.sigstore.statements import slsa_statement, statement, subject
from sluice.api.release import Outcome
from sluice.decision.decide import decide
from sluice.decision.model import Result
from sluice.decision.reasons import Reason
from sluice.evidence.vsa import PREDICATE_TYPE as VSA
from tests.unit.decision import case as c
from tests.unit.decision.test_decide import result_of, verdict_of, with_policy
from tests.unit.evidence.test_documents import SUMMARY

Spec = dict[str, Any]
REPOSITORY = {"sourceRepositoryIdentifier": "4711", "buildTrigger": "push"}


def changed(edit: Callable[[Spec], object]) -> c.World:
    spec = c.policy_spec()
    edit(spec)
    return with_policy(c.verified_world(), spec)


def with_claims(wanted: dict[str, str], claimed: dict[str, str]) -> Result:
    """What a signature comes to whose certificate claims this, under a policy that wants that."""
    world = changed(lambda spec: spec["signers"][0].update(claims=wanted))
    release = world.releases[c.KEY]
    case = world.case(release)  # type: ignore[arg-type]  # it can be read
    facts = tuple(replace(fact, signer=replace(fact.signer, claims=claimed)) for fact in case.facts)
    return result_of(decide(replace(case, facts=facts), now=c.NOW), "weights-signed")


def test_a_signer_is_matched_by_the_claims_that_policy_wants() -> None:
    assert with_claims({"sourceRepositoryIdentifier": "4711"}, REPOSITORY).outcome is Outcome.SATISFIED
    assert with_claims(REPOSITORY, REPOSITORY).outcome is Outcome.SATISFIED


@pytest.mark.parametrize("claimed", [{}, {"sourceRepositoryIdentifier": "4712"}, {"sourceRepositoryOwnerIdentifier": "4711"}])
def test_a_claim_that_differs_or_is_missing_is_somebody_else(claimed: dict[str, str]) -> None:
    assert with_claims({"sourceRepositoryIdentifier": "4711"}, claimed).reason is Reason.SignerNotPermitted
    assert with_claims(REPOSITORY, {"sourceRepositoryIdentifier": "4711"}).reason is Reason.SignerNotPermitted


def test_a_signer_speaks_for_the_builders_that_it_is_paired_with() -> None:
    paired = changed(lambda spec: spec["signers"][0].update(builders=[c.BUILDER]))
    assert result_of(verdict_of(paired), "built-here").outcome is Outcome.SATISFIED
    other = changed(lambda spec: spec["signers"][0].update(builders=["https://ci.example.com/runners/other"]))
    result = result_of(verdict_of(other), "built-here")
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.SignerNotPermitted)
    assert f"for builder {c.BUILDER}" in result.message
    # What ties the weights to their image is provenance, too; what is no provenance needs no builder.
    assert result_of(verdict_of(other), "weights-signed").reason is Reason.CarrierUnbound
    assert result_of(verdict_of(other), "quality").outcome is Outcome.SATISFIED


@pytest.mark.parametrize(
    ("accepted", "reason"),
    [
        (None, Reason.ProvenanceVerified),
        ({"/workflow/ref": "refs/heads/main"}, Reason.ProvenanceVerified),
        ({"/workflow/ref": "refs/heads/main", "/debug": "false"}, Reason.ProvenanceVerified),
        ({"/workflow/ref": "refs/heads/dev"}, Reason.ParameterNotAccepted),
        ({"/debug": "false"}, Reason.ParameterNotAccepted),
        ({}, Reason.ParameterNotAccepted),
    ],
)
def test_what_whoever_started_the_build_chose_counts_as_policy_lists_it(accepted: dict[str, str] | None, reason: Reason) -> None:
    world = changed(lambda spec: spec["requirements"][1].update({} if accepted is None else {"externalParameters": accepted}))
    built = slsa_statement({"server": c.SERVER}, c.BUILDER)
    built["predicate"]["buildDefinition"]["externalParameters"] = {"workflow": {"ref": "refs/heads/main"}}
    world.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "server"))
    world.put("ReleaseEvidence", c.evidence("built", c.sign(built)))
    assert result_of(verdict_of(world), "built-here").reason is reason


def summarised(rule: Spec, summary: Spec, *, may: bool = True) -> Result:
    """What a verification summary comes to under a requirement for one."""
    spec = c.policy_spec()
    spec["signers"].append({"name": "verifier", "trustRoot": "ci", "issuer": c.ISSUER, "identity": "verifier@example.com",
                            "may": ["VerificationSummary" if may else "Dataset"]})  # fmt: skip
    spec["requirements"] = [
        {"name": "summary", "type": "VerificationSummary", "artifactTypes": ["Image"], "verifiers": ["https://verifier.example.com"]} | rule
    ]
    world = with_policy(c.verified_world(), spec)
    signed = c.sign(statement(VSA, [subject("server", c.SERVER)], summary), identity="verifier@example.com")
    world.put("ReleaseEvidence", c.evidence("summary", signed))
    return result_of(verdict_of(world), "summary")


def test_a_summary_by_an_accepted_verifier_at_the_levels_asked_for_counts() -> None:
    assert summarised({}, SUMMARY).reason is Reason.SummaryVerified
    assert summarised({"levels": ["SLSA_BUILD_LEVEL_3"]}, SUMMARY).outcome is Outcome.SATISFIED


@pytest.mark.parametrize(
    ("rule", "summary", "words"),
    [
        ({"verifiers": ["https://other.example.com"]}, SUMMARY, "verifier https://verifier.example.com is not accepted"),
        ({"levels": ["SLSA_BUILD_LEVEL_3", "SLSA_SOURCE_LEVEL_2"]}, SUMMARY, "does not confirm SLSA_SOURCE_LEVEL_2"),
        ({}, SUMMARY | {"verificationResult": "FAILED"}, "did not pass it"),
    ],
)
def test_another_verifier_a_missing_level_or_a_failure_does_not_count(rule: Spec, summary: Spec, words: str) -> None:
    result = summarised(rule, summary)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.SummaryNotAccepted)
    assert words in result.message


def test_a_summary_counts_only_by_somebody_who_may_sign_one() -> None:
    assert summarised({}, SUMMARY, may=False).reason is Reason.SignerNotPermitted
