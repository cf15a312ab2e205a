"""What is wrong with a policy that could be read: names in it that lead nowhere.

Such a policy still counts as it stands (it is never ignored), and it may wait for something that nobody can supply; so its author hears of it.
Whether a `TrustRoot` is there changes with time and is no part of the policy: this is asked anew whenever one comes or goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluice.api.durations import parse_duration
from sluice.api.policy import PolicySpec, Signer, StatementKind, SubjectKind
from sluice.decision.reasons import Reason
from sluice.decision.records import TrustRoot

_TWO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to repair: which field, which value, what to do."""

    reason: Reason
    message: str
    remedy: str


def policy_problems(policy: PolicySpec, trust_roots: Mapping[str, TrustRoot]) -> tuple[Problem, ...]:
    """Return what its author has to repair, in the order of the fields."""
    return (*_signers(policy, trust_roots), *_pairs(policy), *_roles(policy), *_requirements(policy), *_monitors(policy))


def _signers(policy: PolicySpec, trust_roots: Mapping[str, TrustRoot]) -> Iterator[Problem]:
    return (problem for signer in policy.signers if (problem := signer_problem(signer, trust_roots)))


def signer_problem(signer: Signer, trust_roots: Mapping[str, TrustRoot]) -> Problem | None:
    """Say why no signature of a signer could be verified, whoever made it; None where one could."""
    field = f"spec.signers[{signer.name}].trustRoot"
    root = trust_roots.get(signer.trust_root)
    if root is None:
        return Problem(
            reason=Reason.TrustRootNotFound,
            message=f"{field}: there is no TrustRoot {signer.trust_root!r}",
            remedy=f"kubectl apply the TrustRoot {signer.trust_root} (for sluice check: add its file to the folder)"
            + (f", or name one that exists ({_names(trust_roots)})" if trust_roots else ""),
        )
    if root.anchors is None:
        return Problem(
            reason=Reason.TrustRootInvalid,
            message=f"{field}: TrustRoot {signer.trust_root!r} cannot be used: {root.problem}",
            remedy=f"repair the TrustRoot: kubectl describe mtr/{signer.trust_root}",
        )
    if signer.key is not None and signer.key not in root.anchors.named_keys:
        return Problem(
            reason=Reason.SignerUnverifiable,
            message=f"spec.signers[{signer.name}].key: TrustRoot {signer.trust_root!r} has no key {signer.key!r}",
            remedy=f"add it there, or name one that it has ({_names(root.anchors.named_keys)})",
        )
    if signer.key is None and root.anchors.named_keys:
        return Problem(
            reason=Reason.SignerUnverifiable,
            message=f"spec.signers[{signer.name}].identity: TrustRoot {signer.trust_root!r} has keys only, and keys have no identity",
            remedy=f"in place of issuer and identity name one of its keys ({_names(root.anchors.named_keys)}) as spec.signers[{signer.name}].key, "
            "or name a TrustRoot whose certificates have identities",
        )
    return None


def _pairs(policy: PolicySpec) -> Iterator[Problem]:
    """Find signers whom nothing keeps from speaking for the builder of another."""
    provenance = [signer for signer in policy.signers if StatementKind.PROVENANCE in signer.may]
    if len(provenance) < _TWO or not any(requirement.builders for requirement in policy.requirements):
        return
    for signer in provenance:
        if signer.builders is None:
            yield Problem(
                reason=Reason.BuilderNotPaired,
                message=f"spec.signers[{signer.name}].builders: it may sign for the builder of any other signer that a requirement accepts",
                remedy="list the builder.id that it speaks for",
            )


def _roles(policy: PolicySpec) -> Iterator[Problem]:
    """Find roles that a signer holds who may sign no approval."""
    approvers = {signer.name for signer in policy.signers if StatementKind.APPROVAL in signer.may}
    for role in policy.roles:
        for subject in role.subjects:
            if subject.kind is SubjectKind.SIGNER and subject.name not in approvers:
                yield Problem(
                    reason=Reason.SignerUnverifiable,
                    message=f"spec.roles[{role.name}].subjects: no signer of this policy is called {subject.name!r} and may sign Approval",
                    remedy=f"define it in spec.signers with may: [Approval], or name one that is there ({_names(approvers)})",
                )


def _requirements(policy: PolicySpec) -> Iterator[Problem]:
    roles, tiers = {role.name for role in policy.roles}, {tier.name for tier in policy.tiers}
    for requirement in policy.requirements:
        at = f"spec.requirements[{requirement.name}]"
        fields = (
            ("counts", requirement.counts or {}), ("ownerRoles", requirement.owner_roles or []), ("waivableBy", requirement.waivable_by or []),
            ("waiverCounts", requirement.waiver_counts or {}),
        )  # fmt: skip
        for field, named in fields:
            for role in named:
                if role not in roles:
                    yield Problem(
                        reason=Reason.RoleNotDefined,
                        message=f"{at}.{field}: no role is called {role!r}",
                        remedy=f"define it in spec.roles, or name one that is there ({_names(roles)})",
                    )
        if requirement.every and requirement.max_age and parse_duration(requirement.every) >= parse_duration(requirement.max_age):
            yield Problem(
                reason=Reason.DrillTooRare,
                message=f"{at}.every: {requirement.every} is not less than maxAge, {requirement.max_age}: each drill would expire before the next one",
                remedy="lower every, so that a drill that fails can be repeated in time",
            )
        if requirement.min_duration and requirement.max_duration and parse_duration(requirement.min_duration) >= parse_duration(requirement.max_duration):
            yield Problem(
                reason=Reason.MinDurationTooLong,
                message=f"{at}.minDuration: {requirement.min_duration} is not less than maxDuration, {requirement.max_duration}: no run could be promoted",
                remedy="lower minDuration, or raise maxDuration",
            )
        for tier in requirement.tiers or []:
            if tier not in tiers:
                yield _no_such_tier(at, tier, tiers)


def _monitors(policy: PolicySpec) -> Iterator[Problem]:
    if not policy.monitors:
        return
    from sluice.scoring.watched import problem_of  # noqa: PLC0415 - it takes numpy along, which the webhook starts without

    tiers = {tier.name for tier in policy.tiers}
    for monitor in policy.monitors:
        at = f"spec.monitors[{monitor.name}]"
        if problem := problem_of(monitor):
            yield Problem(reason=Reason.MonitorUnusable, message=f"{at}: {problem}", remedy="correct it; until then nothing is watched by it")
        for tier in monitor.tiers or []:
            if tier not in tiers:
                yield _no_such_tier(at, tier, tiers)


def _no_such_tier(at: str, tier: str, tiers: set[str]) -> Problem:
    return Problem(
        reason=Reason.TierNotDefined,
        message=f"{at}.tiers: no tier is called {tier!r}",
        remedy=f"define it in spec.tiers, or name one that is there ({_names(tiers)})",
    )


def _names(known: Mapping[str, object] | set[str]) -> str:
    return ", ".join(sorted(known)[:8]) or "there is none"
