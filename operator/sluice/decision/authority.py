"""The requirement of type Authority: what the cluster really grants is no more than the release declares.

It is checked twice. The verdict looks at what holds for every Pod of the release: RBAC of its service account, and NetworkPolicies that select it whatever its
other labels are. The gate looks at the Pod: what it mounts once nothing is added to it any more, and every NetworkPolicy that selects it as it is.

A grant can be taken back, by whoever gave it. So an excess holds and does not deny, like everything that can still become right; what a Pod mounts, and what a
release does not declare, does not change, and is denied. What is not known is no yes: a desk without the cluster says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from sluice.api.names import RELEASE_LABEL
from sluice.api.permission import GrantKind
from sluice.api.release import Authority, Outcome
from sluice.api.requirement import RequirementType
from sluice.decision.credentials import excess_credential
from sluice.decision.egress import excess_egress, limits_for_certain
from sluice.decision.model import InvalidPolicy, Policy
from sluice.decision.privileges import excess_permissions, too_wide
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.api.requirement import Requirement
    from sluice.decision.granted import Granted
    from sluice.decision.model import Asked, Case, Release, Result, Verdict
    from sluice.decision.pod import PodView

_SHOWN: Final = 8
"""Findings that a message tells in full."""
_NOTHING: Final = Authority()


class AuthorityProblem(NamedTuple):
    """In what a Pod has more than its release declares. `lasting`: it stays so as long as the Pod is there."""

    message: str
    remedy: str
    lasting: bool


def asks_for_authority(policies: Iterable[Policy | InvalidPolicy]) -> bool:
    """Whether any of these policies holds what the cluster grants against what releases declare."""
    return any(requirement.type is RequirementType.AUTHORITY for policy in policies if isinstance(policy, Policy) for requirement in policy.spec.requirements)


def grants_looked_at(requirement: Requirement) -> frozenset[GrantKind]:
    """Give the kinds of grants that a requirement is about: all, where it names none."""
    return frozenset(requirement.grants or GrantKind)


def check_authority(asked: Asked, case: Case) -> Result:
    """Check a requirement of type Authority, as far as it goes without a Pod."""
    release, granted, kinds = case.release, case.granted, grants_looked_at(asked.requirement)
    authority = release.spec.authority or _NOTHING
    # 1. What is declared is complete, and fits together: it cannot be added later.
    if undeclared := _undeclared(authority, kinds):
        return asked.result(Outcome.FAILED, Reason.AuthorityNotDeclared, undeclared, remedy="apply a new ModelRelease that declares it")
    # 2. What is granted beyond it is certain, whatever else there may be.
    labels = {RELEASE_LABEL: release.name}
    found = [*_findings(granted, authority, kinds, namespace=release.namespace)]
    if GrantKind.EGRESS in kinds and granted.whole and not limits_for_certain(granted.policies, labels):
        found.append(
            f"no NetworkPolicy of namespace {release.namespace} that selects every Pod of the release (podSelector {{}}, or its label {RELEASE_LABEL}) limits "
            "egress, so its Pods may reach everything"
        )
    if GrantKind.EGRESS in kinds:
        found += excess_egress(granted.policies, labels, authority, certain=True)
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return asked.result(Outcome.MISSING, Reason.AuthorityExceeded, "; ".join(found[:_SHOWN]) + more, remedy=_remedy(release, found))
    # 3. That nothing more is granted can be said only by whoever sees everything.
    if not granted.whole or granted.unreadable:
        unreadable = ", ".join(islice(granted.unreadable, _SHOWN))
        lacks = f"these might grant anything and cannot be read: {unreadable}" if unreadable else "what the cluster grants is not known here"
        return asked.result(
            Outcome.MISSING, Reason.AuthorityUnknown, lacks,
            remedy="the platform team repairs these" if unreadable else "ask the cluster: sluice check --on-cluster",
        )  # fmt: skip
    account = f"service account {release.namespace}/{authority.service_account}" if authority.service_account else "any service account"
    held = ", ".join(sorted(kinds))
    return replace(
        asked.result(Outcome.SATISFIED, Reason.AuthorityWithinBounds, f"{account} has no more than spec.authority declares; its Pods are held to it ({held})"),
        grants=kinds,
    )


def authority_problem(pod: PodView, release: Release, verdict: Verdict, granted: Granted) -> AuthorityProblem | None:
    """Say in what a Pod has more than its release declares; None when it has not, or nobody asks. `granted` is about the namespace of the Pod."""
    authority = release.spec.authority or _NOTHING
    # What was waived carries none, and is not held against the Pod.
    kinds = frozenset().union(*(result.grants for result in verdict.results))
    if pod.final and (found := excess_credential(pod.credentials, authority, secrets=GrantKind.SECRETS in kinds, tokens=GrantKind.TOKENS in kinds)):
        return AuthorityProblem(found, "take it out of the Pod template, or apply a new ModelRelease that declares it", lasting=True)
    if not kinds & {GrantKind.PERMISSIONS, GrantKind.EGRESS}:
        return None
    # A drill in a scratch namespace runs under the account that has this name there.
    namespace = granted.account.namespace if granted.account else release.namespace
    problems = [*_findings(granted, authority, kinds, namespace=namespace)] if namespace != release.namespace else []
    if GrantKind.EGRESS in kinds:
        if not any(policy.limits and policy.selector.selects(pod.labels) for policy in granted.policies):
            problems.append(f"no NetworkPolicy of namespace {namespace} that selects the Pod limits egress, so it may reach everything")
        problems += excess_egress(granted.policies, pod.labels, authority, certain=False)
    return AuthorityProblem(problems[0], _remedy(release, problems), lasting=False) if problems else None


def _undeclared(authority: Authority, kinds: frozenset[GrantKind]) -> str | None:
    if GrantKind.PERMISSIONS not in kinds:
        return None
    if authority.service_account is None:
        return "the release does not say whose permissions it has: it has no spec.authority.serviceAccount"
    wide = [*too_wide(authority)]
    return f"spec.authority.permissions: {'; '.join(wide[:_SHOWN])}" if wide else None


def _findings(granted: Granted, authority: Authority, kinds: frozenset[GrantKind], *, namespace: str) -> Iterator[str]:
    if GrantKind.PERMISSIONS in kinds:
        yield from excess_permissions(granted, authority, namespace=namespace)
    if granted.more and kinds & {GrantKind.PERMISSIONS, GrantKind.EGRESS}:
        yield f"more rules apply to service account {granted.account}, or more NetworkPolicies to its namespace, than are looked at"


def _remedy(release: Release, found: list[str]) -> str:
    """Say who can take it back. What is bound for the whole cluster is the platform team's."""
    who = "the platform team takes" if found[0].startswith("ClusterRoleBinding ") else f"whoever administers namespace {release.namespace} takes"
    return f"{who} back what is granted beyond that, or a new ModelRelease declares it; it is looked at again at once"
