"""One check for each requirement about evidence: what satisfies it, and what to say when nothing does.

Any one statement that satisfies is enough, and which one is used does not change when another is added (the earliest, then the smallest digest):
so more evidence never takes a release out of service, and approvals do not die of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Outcome
from sluice.api.requirement import RequirementType
from sluice.decision.builds import Objection, objection
from sluice.decision.evaluations import check_evaluation
from sluice.decision.model import Asked, Case, Policy, Result, Verdict, carrier
from sluice.decision.reasons import Reason
from sluice.decision.signers import describe, kind_of, permitted_signer
from sluice.decision.statements import SEVERITY, ordered, statement
from sluice.evidence.vsa import VerificationSummary
from sluice.provenance.model_signature import ModelManifest
from sluice.provenance.slsa import BuildProvenance

if TYPE_CHECKING:
    from sluice.api.release import Artifact
    from sluice.decision.instant import Instant
    from sluice.evidence.facts import Fact

_PATHS_SHOWN, _PATH_SHOWN = 8, 100


def check_evidence(asked: Asked, case: Case, at: Instant, decide: Callable[[Case], Verdict]) -> Result:
    """Check a requirement that asks for evidence about every artifact of some types; the worst result is the requirement's.

    `decide` gives the verdict on another release at the same moment.
    """
    wanted = set(asked.requirement.artifact_types or ())
    artifacts = [artifact for artifact in case.release.spec.artifacts if artifact.type in wanted]
    if missing := wanted - {artifact.type for artifact in artifacts}:
        return asked.result(Outcome.FAILED, Reason.ArtifactMissing,
            f"the release has no artifact of type {', '.join(sorted(missing))}",
            remedy="apply a new ModelRelease that lists it",
        )  # fmt: skip
    check = partial(check_evaluation, decide=decide) if asked.requirement.type is RequirementType.EVALUATION else _CHECKS[asked.requirement.type]
    results = [result for artifact in artifacts for result in check(asked, artifact, case, at)]
    if len(results) == 1 and len(results[0].evidence) <= 1:
        return results[0]
    worst = max(results, key=lambda result: SEVERITY.index(result.outcome))
    same = [result for result in results if result.outcome is worst.outcome]
    return replace(
        worst,
        message="; ".join(dict.fromkeys(result.message for result in same)),
        evidence=tuple(sorted({digest for result in results for digest in result.evidence})),
    )


def _model_signature(asked: Asked, artifact: Artifact, case: Case, _at: Instant) -> list[Result]:
    accepted = asked.requirement.accept_uncovered or ()

    def objects(fact: Fact) -> Objection | None:
        covered = isinstance(fact.content, ModelManifest) and not fact.content.uncovered_but(accepted)
        return None if covered else (Reason.UncoveredFiles, _left_out(fact, accepted))

    signed = statement(asked, artifact.digest, artifact.name, Kind.MODEL_SIGNATURE, case=case, objects=objects)
    pinned = carrier(artifact)
    if signed.outcome is not Outcome.SATISFIED or pinned in {None, artifact.digest}:
        return [signed]
    # The uri pins an OCI manifest, the signature binds the files: the two documents show that the one carries the other, or somebody must say it.
    if _is_compared(artifact, case.facts):
        return [signed]
    if ties := _ties(asked.policy, artifact, case.facts):
        return [replace(signed, evidence=(*signed.evidence, ties[0].bundle_digest))]
    return [
        asked.result(Outcome.MISSING, Reason.CarrierUnbound,
            f"nothing shows, and no provenance says, that {pinned} carries the weights {artifact.digest}",
            remedy=f"sign SLSA provenance for {pinned} with {artifact.digest} among its resolvedDependencies, or attach the manifest of a ModelPack "
            "artifact to the model signature",
        )
    ]  # fmt: skip


def _left_out(fact: Fact, accepted: Sequence[str]) -> str:
    paths = fact.content.uncovered_but(accepted) if isinstance(fact.content, ModelManifest) else ()
    more = f" and {len(paths) - _PATHS_SHOWN:,} more" if len(paths) > _PATHS_SHOWN else ""
    named = ", ".join(path[:_PATH_SHOWN] for path in paths[:_PATHS_SHOWN])
    return f"{describe(fact)} left {named}{more} out of the signature; sign all, or write acceptUncovered with exactly these paths"


def _ties(policy: Policy, artifact: Artifact, facts: Sequence[Fact]) -> list[Fact]:
    pinned = carrier(artifact)
    return [
        fact
        for fact in ordered(facts)
        if isinstance(fact.content, BuildProvenance)
        and pinned in fact.subjects
        and any(artifact.digest in dependency.digests for dependency in fact.content.dependencies)
        and permitted_signer(policy, fact)
    ]


def carries_signed(policy: Policy, artifact: Artifact, facts: Sequence[Fact]) -> bool:
    """Tell whether signers whom `policy` permits say that the artifact is a model, and that the manifest its uri pins carries it, unless that shows."""
    signed = any(kind_of(fact) is Kind.MODEL_SIGNATURE and artifact.digest in fact.subjects and permitted_signer(policy, fact) for fact in facts)
    return signed and (carrier(artifact) == artifact.digest or _is_compared(artifact, facts) or bool(_ties(policy, artifact, facts)))


def _is_compared(artifact: Artifact, facts: Sequence[Fact]) -> bool:
    """Whether the manifest lists the very files. Whoever signed the list: one with this digest lists no others."""
    return any(artifact.digest in fact.subjects and carrier(artifact) in fact.carriers for fact in facts)


def _provenance(asked: Asked, artifact: Artifact, case: Case, _at: Instant) -> list[Result]:
    def objects(fact: Fact) -> Objection | None:
        return objection(asked.requirement, fact.content) if isinstance(fact.content, BuildProvenance) else None

    return [statement(asked, carrier(artifact) or artifact.digest, artifact.name, Kind.PROVENANCE, case=case, objects=objects)]


def _summary(asked: Asked, artifact: Artifact, case: Case, _at: Instant) -> list[Result]:
    verifiers, levels = asked.requirement.verifiers or (), set(asked.requirement.levels or ())

    def objects(fact: Fact) -> Objection | None:
        summary = fact.content
        if not isinstance(summary, VerificationSummary) or summary.verifier not in verifiers:
            return Reason.SummaryNotAccepted, f"verifier {getattr(summary, 'verifier', '?')} is not accepted"
        if not summary.passed:
            return Reason.SummaryNotAccepted, f"verifier {summary.verifier} did not pass it"
        lacking = sorted(levels - summary.levels)
        return (Reason.SummaryNotAccepted, f"verifier {summary.verifier} does not confirm {', '.join(lacking)}") if lacking else None

    return [statement(asked, carrier(artifact) or artifact.digest, artifact.name, Kind.VERIFICATION_SUMMARY, case=case, objects=objects)]


_CHECKS = {
    RequirementType.MODEL_SIGNATURE: _model_signature,
    RequirementType.PROVENANCE: _provenance,
    RequirementType.VERIFICATION_SUMMARY: _summary,
}
