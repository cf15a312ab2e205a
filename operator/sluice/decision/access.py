"""What the cluster grants: roles, their bindings and NetworkPolicies, and what of it concerns one service account.

Kept by whom a binding speaks to, so that a release costs what its own account has, however many bindings there are. `put` tells whose access may have changed:
an object that says the same as before touches nobody.

What is here may not be all there is: a desk has what its files hold. Who has listed everything says so (`whole`), and nothing is satisfied before.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from sluice.decision.granted import Granted
from sluice.decision.network import NetworkPolicy
from sluice.decision.rbac import (
    BINDINGS,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
    Binding,
    Whom,
    granted_by,
    names_of,
    rules_of,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sluice.decision.granted import Account, Rule
    from sluice.decision.records import Key

NETWORK_POLICY: Final = "NetworkPolicy"
API_VERSIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys((ROLE, CLUSTER_ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING), "rbac.authorization.k8s.io/v1"),
    NETWORK_POLICY: "networking.k8s.io/v1",
}
"""The kinds that grant something. Others have kinds of the same names."""
CLUSTERED: Final = frozenset({CLUSTER_ROLE, CLUSTER_ROLE_BINDING})
MOST_RULES: Final = 512
"""Of one account; those of everybody count. Who has more has more than anybody declares: 64 permissions are."""
MOST_POLICIES: Final = 256
"""NetworkPolicies of one namespace that are looked at."""
_MALFORMED: Final = (TypeError, ValueError, KeyError, AttributeError)


class Access:
    """Everything that grants something."""

    def __init__(self) -> None:
        """Start with nothing, and not knowing whether that is all."""
        self.whole = False
        self._rules: dict[tuple[str, Key], tuple[Rule, ...]] = {}
        self._bindings: dict[tuple[str, Key], Binding] = {}
        self._of_role: dict[tuple[str, Key], set[tuple[str, Key]]] = defaultdict(set)
        self._of_whom: dict[Whom, set[tuple[str, Key]]] = defaultdict(set)
        self._policies: dict[str, dict[Key, NetworkPolicy]] = defaultdict(dict)
        self._unreadable: dict[tuple[str, Key], str] = {}

    def put(self, kind: str, key: Key, item: Mapping[str, Any] | None) -> frozenset[Whom]:
        """Take in an object of one of `API_VERSIONS`, or forget it; return whose access that may change. Raises nothing."""
        if kind == NETWORK_POLICY:
            return self._put_policy(key, item)
        return self._put_binding(kind, key, item) if kind in BINDINGS else self._put_role(kind, key, item)

    def of(self, account: Account | None, namespace: str) -> Granted:
        """Give what an account has, and which NetworkPolicies `namespace` has."""
        bindings = sorted(set().union(*(self._of_whom.get(whom, ()) for whom in names_of(account)))) if account is not None else []
        rules = chain.from_iterable(granted_by(self._bindings[at], self._rules.get(self._bindings[at].role, ())) for at in bindings)
        grants = tuple(islice(rules, MOST_RULES + 1))
        policies = sorted(self._policies.get(namespace, {}).items())
        return Granted(
            account=account, whole=self.whole, grants=grants[:MOST_RULES], policies=tuple(policy for _, policy in policies[:MOST_POLICIES]),
            more=len(grants) > MOST_RULES or len(policies) > MOST_POLICIES,
            unreadable=tuple(sorted(text for (kind, at), text in self._unreadable.items() if kind != NETWORK_POLICY or at.namespace == namespace)),
        )  # fmt: skip

    def _put_role(self, kind: str, key: Key, item: Mapping[str, Any] | None) -> frozenset[Whom]:
        at = kind, key
        before, was_unreadable = self._rules.pop(at, None), self._unreadable.pop(at, None)
        if item is not None:
            try:
                self._rules[at] = rules_of(item)
            except _MALFORMED as error:
                self._unreadable[at] = _unreadable(kind, key, error)
        if was_unreadable != self._unreadable.get(at):
            return frozenset({Whom()})
        return self._concerned(self._of_role.get(at, ())) if before != self._rules.get(at) else frozenset()

    def _put_binding(self, kind: str, key: Key, item: Mapping[str, Any] | None) -> frozenset[Whom]:
        at = kind, key
        before, was_unreadable = self._bindings.pop(at, None), self._unreadable.pop(at, None)
        if before is not None:
            self._of_role[before.role].discard(at)
            for whom in before.whom:
                self._of_whom[whom].discard(at)
        if item is not None:
            try:
                self._bindings[at] = Binding.of(kind, key, item)
            except _MALFORMED as error:
                self._unreadable[at] = _unreadable(kind, key, error)
        after = self._bindings.get(at)
        if after is not None:
            self._of_role[after.role].add(at)
            for whom in after.whom:
                self._of_whom[whom].add(at)
        if was_unreadable != self._unreadable.get(at):
            return frozenset({Whom()})
        return frozenset().union(*(binding.whom for binding in (before, after) if binding is not None)) if before != after else frozenset()

    def _put_policy(self, key: Key, item: Mapping[str, Any] | None) -> frozenset[Whom]:
        at, policies = (NETWORK_POLICY, key), self._policies[key.namespace]
        before, was_unreadable = policies.pop(key, None), self._unreadable.pop(at, None)
        if item is not None:
            try:
                policies[key] = NetworkPolicy.of(key, item)
            except _MALFORMED as error:
                self._unreadable[at] = _unreadable(NETWORK_POLICY, key, error)
        same = before == policies.get(key) and was_unreadable == self._unreadable.get(at)
        return frozenset() if same else frozenset({Whom(key.namespace)})

    def _concerned(self, bindings: Iterable[tuple[str, Key]]) -> frozenset[Whom]:
        return frozenset().union(*(self._bindings[at].whom for at in bindings))


def _unreadable(kind: str, key: Key, error: Exception) -> str:
    return f"{kind} {key} ({type(error).__name__}: {str(error)[:80]})"
