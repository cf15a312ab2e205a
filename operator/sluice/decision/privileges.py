"""Permissions held against RBAC: what a service account may do and no release declares, by the exact rule that grants it.

A rule is within what is declared when each resource and verb in it is: for these names or fewer, where the Pods run unless Cluster is declared. A wildcard
never is. `get`, `list` and `watch` of Secrets that `authority.secrets` names are declared by that.

What every account of every cluster has – finding out which API there is, and who one is – is nobody's excess. It is known by what the rules say, since their
names could be given to others.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from sluice.api.permission import PermissionScope
from sluice.api.release import ToolEffect
from sluice.decision.rbac import ALL

if TYPE_CHECKING:
    from sluice.api.release import Authority
    from sluice.decision.granted import Grant, Granted

_READS: Final = frozenset({"get", "list", "watch"})
_OF_EVERYBODY: Final = frozenset(
    {
        ("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
        ("authorization.k8s.io", "selfsubjectrulesreviews", "create"),
        ("authentication.k8s.io", "selfsubjectreviews", "create"),
    }
)
"""`system:basic-user`."""
_URLS_OF_EVERYBODY: Final = frozenset(
    {
        "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/openapi", "/openapi/*", "/version", "/version/",
        "/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/",
    }
)  # fmt: skip
"""`system:discovery`, `system:public-info-viewer` and `system:service-account-issuer-discovery`."""
_ADMIN_VERBS: Final = frozenset({ALL, "escalate", "bind", "impersonate", "approve", "sign", "attest"})
_ADMIN_RESOURCES: Final = frozenset(
    {"pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "pods/ephemeralcontainers", "services/proxy", "nodes/proxy", "serviceaccounts/token"}
)
"""Whoever may touch these runs as somebody else, whatever the verb: `get` suffices for a web socket."""
_RUNS_PODS: Final = frozenset(
    {
        "pods",
        "deployments",
        "replicasets",
        "replicationcontrollers",
        "statefulsets",
        "daemonsets",
        "jobs",
        "cronjobs",
        "persistentvolumes",
        "nodes",
        "namespaces",
    }
)
"""Whoever may write these chooses a service account of the namespace, a node's files, or the labels that policies select by."""
_ADMIN_GROUPS: Final = frozenset({"rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiregistration.k8s.io", "certificates.k8s.io", "sluice.dev"})
"""Whoever may write in these decides what others may: who may write approvals approves itself."""
_EFFECTS: Final = tuple(ToolEffect)
_MOST_PAIRS: Final = 20_000
"""Pairs of group and resource that are looked at, of all rules of an account."""


def effect_of(group: str, resource: str, verb: str) -> ToolEffect:
    """Tell how far a permission reaches. Admin: whoever has it can come to have more, or be somebody else."""
    if verb in _ADMIN_VERBS or ALL in resource or group == ALL or resource in _ADMIN_RESOURCES:
        return ToolEffect.ADMIN
    if verb in _READS:
        return ToolEffect.ADMIN if (group, resource) == ("", "secrets") else ToolEffect.READ
    return ToolEffect.ADMIN if resource in _RUNS_PODS or group in _ADMIN_GROUPS or resource == "secrets" else ToolEffect.WRITE


def too_wide(authority: Authority) -> Iterator[str]:
    """Give what is declared at the API without a tool of that effect: who writes there acts, and what acts is a tool."""
    widest = max((_EFFECTS.index(tool.effect) for tool in authority.tools), default=0)
    for permission in authority.permissions or ():
        effects = {verb: effect_of(permission.api_group, permission.resource, verb) for verb in permission.verbs}
        for verb, effect in effects.items():
            if _EFFECTS.index(effect) > widest:
                yield f"`{verb}` on `{_named(permission.api_group, permission.resource)}` has effect {effect}, and no tool of that effect is declared"


def excess_permissions(granted: Granted, authority: Authority, *, namespace: str) -> Iterator[str]:
    """Give what is granted beyond what is declared, one sentence for each rule. Pods run in `namespace`."""
    pairs = 0
    for grant in granted.grants:
        pairs += len(grant.rule.groups) * len(grant.rule.resources)
        if pairs > _MOST_PAIRS:
            yield f"{grant.title} and what comes after it: these rules are longer than is looked at"
            return
        if said := _beyond(grant, authority, namespace):
            yield f"{grant.title} grants {said}, which spec.authority does not declare"


def _beyond(grant: Grant, authority: Authority, namespace: str) -> str | None:
    """Say what one rule grants and is not declared: the worst of it, and how much more there is."""
    rule = grant.rule
    if urls := sorted(rule.urls - _URLS_OF_EVERYBODY) if rule.urls else []:
        return f"`{'`, `'.join(sorted(rule.verbs))}` on the URL `{urls[0]}`{_and_more(len(urls) - 1)}"
    if rule.urls and not rule.verbs <= {"get", "head"}:
        return f"`{'`, `'.join(sorted(rule.verbs))}` on the URL `{min(rule.urls)}`"
    found: list[tuple[int, str, str, frozenset[str]]] = []
    for group in sorted(rule.groups):
        for resource in sorted(rule.resources):
            verbs = rule.verbs - _declared(grant, authority, group, resource, namespace)
            if verbs:
                worst = max(_EFFECTS.index(effect_of(group, resource, verb)) for verb in verbs)
                found.append((worst, group, resource, verbs))
    if not found:
        return None
    worst, group, resource, verbs = max(found, key=lambda each: each[0])
    where = "in every namespace" if grant.namespace is None else f"in namespace {grant.namespace}"
    names = f" named {', '.join(islice(sorted(rule.names), 4))}{_and_more(len(rule.names) - 4)}" if rule.names else ""
    admin = " (effect Admin)" if _EFFECTS[worst] is ToolEffect.ADMIN else ""
    return f"`{'`, `'.join(sorted(verbs))}` on `{_named(group, resource)}`{names} {where}{admin}{_and_more(len(found) - 1)}"


def _declared(grant: Grant, authority: Authority, group: str, resource: str, namespace: str) -> frozenset[str]:
    """Give the verbs that are declared for a resource, as far as this rule grants it."""
    names, here = grant.rule.names, grant.namespace == namespace
    found = {verb for at, of, verb in _OF_EVERYBODY if (at, of) == (group, resource)}
    for permission in authority.permissions or ():
        fits = (permission.api_group, permission.resource) == (group, resource) and (here or permission.scope is PermissionScope.CLUSTER)
        if fits and (permission.names is None or (names and names <= set(permission.names))):
            found.update(permission.verbs)
    if (group, resource) == ("", "secrets") and here and names and names <= {secret.name for secret in authority.secrets}:
        found |= _READS
    return frozenset(found)


def _named(group: str, resource: str) -> str:
    return f"{resource}.{group}" if group else resource


def _and_more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
