"""RBAC as the API server applies it: rules, bindings, and to whom a binding speaks.

Sources: `rbac.authorization.k8s.io/v1` and the authorizer behind it. Rules only add up, there is no denial in RBAC. Three things that are easily overlooked:
a service account is also the user `system:serviceaccount:NAMESPACE:NAME` and a member of four groups; a subject without namespace is in that of its binding;
URLs count only where a ClusterRole is bound for the whole cluster. The rules of an aggregated ClusterRole are already in its `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sluice.decision.granted import Account, Grant, Rule
from sluice.decision.records import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROLE: Final = "Role"
CLUSTER_ROLE: Final = "ClusterRole"
ROLE_BINDING: Final = "RoleBinding"
CLUSTER_ROLE_BINDING: Final = "ClusterRoleBinding"
ROLES: Final = frozenset({ROLE, CLUSTER_ROLE})
BINDINGS: Final = frozenset({ROLE_BINDING, CLUSTER_ROLE_BINDING})
ALL: Final = "*"

_USER: Final = "system:serviceaccount:"
_EVERYBODY: Final = ("system:authenticated", "system:serviceaccounts")
_OF_NAMESPACE: Final = "system:serviceaccounts:"


class Whom(NamedTuple):
    """Whom a binding speaks to: one account, all of a namespace (no name), or all there are (neither)."""

    namespace: str = ""
    name: str = ""


def names_of(account: Account) -> tuple[Whom, Whom, Whom]:
    """Give everything by which a binding may mean this account."""
    return Whom(account.namespace, account.name), Whom(account.namespace), Whom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Who gets which role, and where: in `namespace`, or everywhere when that is None."""

    title: str
    namespace: str | None
    role: tuple[str, Key]
    """Kind and key of the role."""
    whom: frozenset[Whom]

    @classmethod
    def of(cls, kind: str, key: Key, raw: Mapping[str, Any]) -> Binding:
        """Read a RoleBinding or ClusterRoleBinding. Raises TypeError, KeyError, AttributeError: it has not the form of one."""
        reference = raw["roleRef"]
        role, name = _text(reference["kind"]), _text(reference["name"])
        at = Key(namespace=key.namespace if role == ROLE else "", name=name)
        whom = frozenset(found for subject in raw.get("subjects") or () if (found := _whom(subject, key.namespace)))
        return cls(title=f"{kind} {key}", namespace=key.namespace if kind == ROLE_BINDING else None, role=(role, at), whom=whom)


def rules_of(raw: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Read the rules of a Role or ClusterRole. Raises TypeError, AttributeError: it has not the form of one."""
    return tuple(_rule(rule) for rule in raw.get("rules") or ())


def granted_by(binding: Binding, rules: tuple[Rule, ...]) -> Iterator[Grant]:
    """Give what a binding grants by the rules of its role."""
    kind, key = binding.role
    for number, rule in enumerate(rules, start=1):
        # URLs are in no namespace.
        if rule.resources or binding.namespace is None:
            yield Grant(binding=binding.title, role=f"{kind} {key}", number=number, namespace=binding.namespace, rule=rule)


def _rule(raw: Mapping[str, Any]) -> Rule:
    return Rule(
        groups=_texts(raw, "apiGroups"), resources=_texts(raw, "resources"), names=_texts(raw, "resourceNames"), verbs=_texts(raw, "verbs"),
        urls=_texts(raw, "nonResourceURLs"),
    )  # fmt: skip


def _whom(subject: Mapping[str, Any], namespace: str) -> Whom | None:
    """Read a subject; None for one that is no service account and no group of them."""
    kind, name = _text(subject["kind"]), _text(subject["name"])
    match kind:
        case "ServiceAccount":
            return Whom(_text(subject.get("namespace") or namespace), name)
        case "User" if name.startswith(_USER):
            at, _, account = name.removeprefix(_USER).partition(":")
            return Whom(at, account)
        case "Group" if name in _EVERYBODY:
            return Whom()
        case "Group" if name.startswith(_OF_NAMESPACE):
            return Whom(name.removeprefix(_OF_NAMESPACE))
        case _:
            return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value


def _texts(raw: Mapping[str, Any], field: str) -> frozenset[str]:
    values = raw.get(field) or []
    if not isinstance(values, list):
        raise TypeError(f"{field} is no list")
    return frozenset(_text(value) for value in values)
