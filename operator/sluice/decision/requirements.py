"""One check for each requirement about evidence: what satisfies it, and what to say when nothing does.

Any one statement that satisfies is enough, and which one is used does not change when another is added (the earliest, then the smallest digest):
so more evidence never takes a release out of service, and approvals do not die of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sluice.api.durations import parse_duration
from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Outcome
from sluice.api.requirement import RequirementType
from sluice.decision.builds import Objection, objection
from sluice.decision.intervals import wilson
from sluice.decision.model import Asked, Case, Policy, Result, carrier
from sluice.decision.reasons import Reason
from sluice.decision.signers import describe, kind_of, kind_of_predicate, permitted_signer
from sluice.evidence.evaluation import Evaluation
from sluice.evidence.vsa import VerificationSummary
from sluice.provenance.model_signature import ModelManifest
from sluice.provenance.slsa import BuildProvenance

if TYPE_CHECKING:
    from sluice.api.release import Artifact
    from sluice.api.requirement import Measure
    from sluice.evidence.facts import Fact
    from sluice.evidence.measurement import Measurement

_PATHS_SHOWN, _PATH_SHOWN = 8, 100
_LATEST = datetime.max.replace(tzinfo=UTC)
_VERIFIED = {
    Kind.MODEL_SIGNATURE: Reason.SignatureVerified,
    Kind.PROVENANCE: Reason.ProvenanceVerified,
    Kind.VERIFICATION_SUMMARY: Reason.SummaryVerified,
}
_SEVERITY = (Outcome.SATISFIED, Outcome.EXPIRED, Outcome.MISSING, Outcome.FAILED)


def check_evidence(asked: Asked, case: Case, *, now: datetime) -> Result:
    """Check a requirement that asks for evidence about every artifact of some types; the worst result is the requirement's."""
    wanted = set(asked.requirement.artifact_types or ())
    artifacts = [artifact for artifact in case.release.spec.artifacts if artifact.type in wanted]
    if missing := wanted - {artifact.type for artifact in artifacts}:
        return asked.result(Outcome.FAILED, Reason.ArtifactMissing,
            f"the release has no artifact of type {', '.join(sorted(missing))}",
            remedy="apply a new ModelRelease that lists it",
        )  # fmt: skip
    check = _CHECKS[asked.requirement.type]
    results = [result for artifact in artifacts for result in check(asked, artifact, case, now)]
    worst = max(results, key=lambda result: _SEVERITY.index(result.outcome))
    same = [result for result in results if result.outcome is worst.outcome]
    return replace(
        worst,
        message="; ".join(dict.fromkeys(result.message for result in same)),
        evidence=tuple(sorted({digest for result in results for digest in result.evidence})),
        changes_at=min((result.changes_at for result in results if result.changes_at), default=None),
    )


def _model_signature(asked: Asked, artifact: Artifact, case: Case, _now: datetime) -> list[Result]:
    accepted = asked.requirement.accept_uncovered or ()

    def objects(fact: Fact) -> Objection | None:
        covered = isinstance(fact.content, ModelManifest) and not fact.content.uncovered_but(accepted)
        return None if covered else (Reason.UncoveredFiles, _left_out(fact, accepted))

    signed = _statement(asked, artifact.digest, artifact.name, Kind.MODEL_SIGNATURE, case=case, objects=objects)
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


def _provenance(asked: Asked, artifact: Artifact, case: Case, _now: datetime) -> list[Result]:
    def objects(fact: Fact) -> Objection | None:
        return objection(asked.requirement, fact.content) if isinstance(fact.content, BuildProvenance) else None

    return [_statement(asked, carrier(artifact) or artifact.digest, artifact.name, Kind.PROVENANCE, case=case, objects=objects)]


def _summary(asked: Asked, artifact: Artifact, case: Case, _now: datetime) -> list[Result]:
    verifiers, levels = asked.requirement.verifiers or (), set(asked.requirement.levels or ())

    def objects(fact: Fact) -> Objection | None:
        summary = fact.content
        if not isinstance(summary, VerificationSummary) or summary.verifier not in verifiers:
            return Reason.SummaryNotAccepted, f"verifier {getattr(summary, 'verifier', '?')} is not accepted"
        if not summary.passed:
            return Reason.SummaryNotAccepted, f"verifier {summary.verifier} did not pass it"
        lacking = sorted(levels - summary.levels)
        return (Reason.SummaryNotAccepted, f"verifier {summary.verifier} does not confirm {', '.join(lacking)}") if lacking else None

    return [_statement(asked, carrier(artifact) or artifact.digest, artifact.name, Kind.VERIFICATION_SUMMARY, case=case, objects=objects)]


def _evaluation(asked: Asked, artifact: Artifact, case: Case, now: datetime) -> list[Result]:
    found = _statement(asked, artifact.digest, artifact.name, Kind.EVALUATION, case=case)
    if found.outcome is not Outcome.SATISFIED:
        return [found]
    facts = [
        fact for fact in ordered(case.facts) if kind_of(fact) is Kind.EVALUATION and artifact.digest in fact.subjects and permitted_signer(asked.policy, fact)
    ]
    return [_measure(asked, measure, facts, now) for measure in asked.requirement.measures or ()]


def _measure(asked: Asked, measure: Measure, facts: Sequence[Fact], now: datetime) -> Result:
    candidates = [
        _held_against(asked, measure, fact, measurement, now)
        for fact in facts
        if isinstance(fact.content, Evaluation)
        for measurement in fact.content.measurements
        if (measurement.suite, measurement.metric) == (measure.suite, measure.metric)
    ]
    if not candidates:
        return asked.result(Outcome.MISSING, Reason.MeasureMissing,
            f"no evaluation has {measure.metric} of {measure.suite}",
            remedy=f"evaluate the weights on {measure.suite} and apply the signed result as ReleaseEvidence",
        )  # fmt: skip
    return min(candidates, key=lambda result: _SEVERITY.index(result.outcome))


def _held_against(asked: Asked, measure: Measure, fact: Fact, measurement: Measurement, now: datetime) -> Result:
    what = f"{measure.metric} of {measure.suite}"
    if not 0 <= measurement.value <= 1 or measurement.samples < 1:
        return asked.result(Outcome.FAILED, Reason.MetricOutOfRange, f"{what} is {measurement.value} over {measurement.samples} samples")
    lower, upper = wilson(measurement.value, measurement.samples, float(measure.confidence))
    if measure.at_least is not None:
        bound, asks, met = lower, f"≥ {measure.at_least}", lower >= float(measure.at_least)
    else:
        bound, asks, met = upper, f"≤ {measure.at_most}", measure.at_most is not None and upper <= float(measure.at_most)
    numbers = f"{what} is {measurement.value:.4f} over {measurement.samples} samples, bound {bound:.4f} at {measure.confidence}"
    if not met:
        return asked.result(Outcome.FAILED, Reason.ThresholdMissed, f"{numbers}: policy asks {asks}",
                      remedy="improve the model and apply a new ModelRelease, or evaluate on more samples", evidence=(fact.bundle_digest,))  # fmt: skip
    ends = None
    if measure.max_age is not None:
        if fact.signed_at is None:
            return asked.result(Outcome.FAILED, Reason.AgeUnknown, f"{what} must not be older than {measure.max_age}, and the signature has no trusted time")
        ends = fact.signed_at + parse_duration(measure.max_age)
        if ends <= now:
            return asked.result(Outcome.EXPIRED, Reason.EvidenceExpired, f"{what} is older than {measure.max_age} since {ends.isoformat()}",
                          remedy=f"evaluate again on {measure.suite} and apply the signed result as ReleaseEvidence")  # fmt: skip
    return asked.result(Outcome.SATISFIED, Reason.EvaluationPassed, f"{numbers} {asks}", evidence=(fact.bundle_digest,), changes_at=ends)


def _statement(
    asked: Asked, digest: str, artifact: str, kind: Kind, *, case: Case,
    objects: Callable[[Fact], Objection | None] = lambda _: None,
) -> Result:  # fmt: skip
    """Find a statement of `kind` about `digest` by a permitted signer that nobody `objects` to; say the most useful thing when there is none."""
    about = [fact for fact in ordered(case.facts) if kind_of(fact) is kind and digest in fact.subjects]
    permitted = [fact for fact in about if permitted_signer(asked.policy, fact)]
    objections = [objects(fact) for fact in permitted]
    good = next((fact for fact, objected in zip(permitted, objections, strict=True) if objected is None), None)
    if good:
        reason = _VERIFIED.get(kind, Reason.EvaluationPassed)
        message = f"{artifact} {digest} signed by {describe(good)}"
        return asked.result(Outcome.SATISFIED, reason, message, evidence=(good.bundle_digest,))
    if objected := next(filter(None, objections), None):
        return asked.result(Outcome.FAILED, objected[0], f"{artifact}: {objected[1]}")
    if about:
        return asked.result(Outcome.FAILED, Reason.SignerNotPermitted,
            f"{artifact}: policy {asked.policy.name} lets nobody but {who_may(asked.policy, kind)} sign {kind.value}; this is signed by {describe(about[0])}",
            remedy=f"have {who_may(asked.policy, kind)} sign {digest}",
        )  # fmt: skip
    refused = next(
        (
            refusal
            for refusal in sorted(case.refusals, key=lambda r: r.source)
            if digest in refusal.claims.subjects and kind_of_predicate(refusal.claims.predicate_type) is kind
        ),
        None,
    )
    if refused:
        return asked.result(Outcome.FAILED, Reason.EvidenceRefused,
            f"{artifact}: ReleaseEvidence {refused.source} was refused ({refused.reason}): {refused.message}",
            remedy=f"kubectl describe mre/{refused.source}",
        )  # fmt: skip
    return asked.result(Outcome.MISSING, Reason.EvidenceMissing,
        f"no {kind.value} statement speaks of {artifact} {digest}",
        remedy=f"apply a ReleaseEvidence with a {kind.value} statement about {digest}, signed by {who_may(asked.policy, kind)}",
    )  # fmt: skip


def who_may(policy: Policy, kind: Kind) -> str:
    """Name the signers whom `policy` lets make statements of `kind`."""
    return " or ".join(signer.name for signer in policy.spec.signers if kind.value in signer.may) or "(the policy names no signer for it)"


def ordered(facts: Sequence[Fact]) -> list[Fact]:
    """Order facts so that what comes later stays behind: the earliest, then the smallest digest."""
    return sorted(facts, key=lambda fact: (fact.signed_at or _LATEST, fact.bundle_digest, fact.trust_root))


_CHECKS = {
    RequirementType.MODEL_SIGNATURE: _model_signature,
    RequirementType.PROVENANCE: _provenance,
    RequirementType.EVALUATION: _evaluation,
    RequirementType.VERIFICATION_SUMMARY: _summary,
}
