"""A statement of a kind, about a digest, by somebody whom policy permits: found, or said why there is none.

Any one that satisfies is enough, and which one is used does not change when another is added (the earliest, then the smallest digest): so more evidence never
takes a release out of service, and approvals do not die of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Outcome
from sluice.decision.reasons import Reason
from sluice.decision.signers import describe, how_to_sign, kind_of, kind_of_predicate, permitted_signer

if TYPE_CHECKING:
    from sluice.decision.builds import Objection
    from sluice.decision.model import Asked, Case, Policy, Result
    from sluice.evidence.facts import Fact

_LATEST = datetime.max.replace(tzinfo=UTC)
_VERIFIED = {
    Kind.MODEL_SIGNATURE: Reason.SignatureVerified,
    Kind.PROVENANCE: Reason.ProvenanceVerified,
    Kind.VERIFICATION_SUMMARY: Reason.SummaryVerified,
}
SEVERITY = (Outcome.SATISFIED, Outcome.EXPIRED, Outcome.MISSING, Outcome.FAILED)


def statement(
    asked: Asked, digest: str, artifact: str, kind: Kind, *, case: Case,
    objects: Callable[[Fact], Objection | None] = lambda _: None,
) -> Result:  # fmt: skip
    """Find a statement of `kind` about `digest` by a permitted signer that nobody `objects` to; say the most useful thing when there is none."""
    about = ordered(fact for fact in case.facts if kind_of(fact) is kind and digest in fact.subjects)
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
            f"{artifact}: policy {asked.policy.name} lets nobody but {_whom(asked.policy, kind)} sign {kind.value}; this is signed by {describe(about[0])}",
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
            remedy=f"have {who_may(asked.policy, kind)} sign one that is not refused: kubectl describe mre/{refused.source} -n {case.release.namespace}",
        )  # fmt: skip
    article = "an" if kind.value[0] in "AEIOU" else "a"
    return asked.result(Outcome.MISSING, Reason.EvidenceMissing,
        f"no {kind.value} statement speaks of {artifact} {digest}",
        remedy=f"apply a ReleaseEvidence with {article} {kind.value} statement about {digest}, signed by {who_may(asked.policy, kind)} ({how_to_sign(kind)})",
    )  # fmt: skip


def who_may(policy: Policy, kind: Kind) -> str:
    """Name the signers whom `policy` lets make statements of `kind`."""
    return " or ".join(signer.name for signer in policy.spec.signers if kind.value in signer.may) or "(the policy names no signer for it)"


def _whom(policy: Policy, kind: Kind) -> str:
    """Name the same signers with what their signatures have to show: another key may have the name that the policy gives a signer."""
    named = [
        f"{signer.name} ({f'key {signer.key}' if signer.key else signer.identity} of TrustRoot {signer.trust_root})"
        for signer in policy.spec.signers
        if kind.value in signer.may
    ]
    return " or ".join(named) or who_may(policy, kind)


def ordered(facts: Iterable[Fact]) -> list[Fact]:
    """Order facts so that what comes later stays behind: the earliest, then the smallest digest."""
    return sorted(facts, key=lambda fact: (fact.signed_at or _LATEST, fact.bundle_digest, fact.trust_root))
