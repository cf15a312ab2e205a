"""Whether those whose signature a requirement waits for can be verified at all: by a TrustRoot that is there, can be used, and knows them.

Where it is not, what else could be said is true and misleads: evidence is "refused" or "by another signer", and somebody signs it once more. Such a release
waits, and is not denied: trust roots are applied in any order, as all else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sluice.api.policy import StatementKind as Kind
from sluice.api.policy import SubjectKind
from sluice.api.release import Outcome
from sluice.api.requirement import RequirementType as Type
from sluice.decision.problems import Problem, signer_problem
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.api.policy import Signer
    from sluice.decision.model import Asked, Case, Result

_RESTS_ON: Final[Mapping[Type, frozenset[Kind]]] = MappingProxyType(
    {
        Type.MODEL_SIGNATURE: frozenset({Kind.MODEL_SIGNATURE}),
        Type.PROVENANCE: frozenset({Kind.PROVENANCE}),
        Type.VERIFICATION_SUMMARY: frozenset({Kind.VERIFICATION_SUMMARY}),
        Type.EVALUATION: frozenset({Kind.EVALUATION}),
        Type.LINEAGE: frozenset({Kind.PROVENANCE, Kind.BILL_OF_MATERIALS, Kind.DATASET}),
        Type.DATA_PROVENANCE: frozenset({Kind.PROVENANCE, Kind.BILL_OF_MATERIALS, Kind.DATASET}),
        Type.CHANGE_TICKET: frozenset({Kind.CHANGE_TICKET}),
        Type.IMPACT_ASSESSMENT: frozenset({Kind.IMPACT_ASSESSMENT}),
        Type.VENDOR_ASSURANCE: frozenset({Kind.VENDOR_ASSURANCE}),
        Type.CANARY: frozenset({Kind.SHADOW_PAIRS}),
    }
)
"""The kinds of statements that each type of requirement may lack."""
_THERE: Final = frozenset({Reason.EvidenceRefused, Reason.SignerNotPermitted})
"""What is said of a statement that is there, and by nobody who may."""
_NO_STATEMENT: Final = _THERE | {Reason.EvidenceMissing, Reason.LineageMissing, Reason.DatasetUndescribed, Reason.PairsMissing}
"""What is said where no statement by a permitted signer was found."""
_SHOWN: Final = 4


def told(ask: Asked, result: Result, case: Case) -> Result:
    """Say of a requirement that lacks a statement who of those that may sign it cannot be verified, and why."""
    if result.reason not in _NO_STATEMENT:
        return result
    kinds = _RESTS_ON.get(ask.requirement.type, frozenset())
    may = [signer for signer in ask.policy.spec.signers if kinds & {*signer.may}]
    problems = _problems(may, case)
    if not problems:
        return result
    message, remedy = _words(ask, problems)
    if len(problems) < len(may):
        return replace(result, message=f"{result.message}; {message}", remedy=f"{result.remedy}; or {remedy}" if result.remedy else remedy)
    message = f"{message}; {result.message}"
    if result.reason in _THERE:
        return replace(result, outcome=Outcome.MISSING, reason=problems[0].reason, message=message, remedy=remedy)
    # What is not there at all is needed as well, whoever could be verified.
    return replace(result, message=message, remedy=f"{remedy}; then {result.remedy}" if result.remedy else remedy)


def told_of_approvers(ask: Asked, result: Result, case: Case) -> Result:
    """The same of those who may sign decisions in the roles that an approval lacks."""
    names = {
        subject.name for role in ask.policy.spec.roles if role.name in result.lacks for subject in role.subjects if subject.kind is SubjectKind.SIGNER
    }  # fmt: skip
    problems = _problems((signer for signer in ask.policy.spec.signers if signer.name in names and Kind.APPROVAL in signer.may), case)
    if not problems:
        return result
    message, remedy = _words(ask, problems)
    return replace(result, message=f"{result.message}; {message}", remedy=f"{result.remedy}; for signed approvals {remedy}")


def _problems(signers: Iterable[Signer], case: Case) -> list[Problem]:
    return [problem for signer in signers if (problem := signer_problem(signer, case.trust_roots))]


def _words(ask: Asked, problems: list[Problem]) -> tuple[str, str]:
    shown, more = problems[:_SHOWN], len(problems) - _SHOWN
    message = f"policy {ask.policy.name}: " + ", ".join(problem.message for problem in shown) + (f" and {more} more" if more > 0 else "")
    return message, "the platform team: " + "; ".join(dict.fromkeys(problem.remedy for problem in shown))
