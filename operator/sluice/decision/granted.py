"""What the cluster grants one service account and the Pods of its namespace: data, read elsewhere (`access`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sluice.decision.network import NetworkPolicy


class Account(NamedTuple):
    """A service account."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Write it as `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a role. An empty `names` means objects of any name."""

    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One rule that somebody has, and by what: enough to find it and take it away."""

    binding: str
    role: str
    number: int
    """Which rule of the role, counted from one."""
    namespace: str | None
    """Where it holds; None: in the whole cluster."""
    rule: Rule

    @property
    def title(self) -> str:
        """Name the rule as people look it up."""
        return f"{self.binding} → {self.role} rule {self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the cluster grants one service account and the Pods of its namespace. The default knows nothing, which satisfies nothing."""

    account: Account | None = None
    whole: bool = False
    """Whether everything that the cluster grants was looked at."""
    grants: tuple[Grant, ...] = ()
    more: bool = False
    """Whether there are more rules or policies than are looked at."""
    policies: tuple[NetworkPolicy, ...] = ()
    """Those of its namespace."""
    unreadable: tuple[str, ...] = ()
    """Objects that might grant anything: they cannot be read."""
