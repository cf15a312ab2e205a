"""NetworkPolicies as far as they say what Pods may reach: `networking.k8s.io/v1`, egress only.

Policies add up: a Pod that any policy for egress selects may reach what all that select it allow together, and one that none selects may reach everything. What
else limits a Pod (a service mesh, policies of the network plugin's own kind) is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.decision.records import Key

Network = IPv4Network | IPv6Network
ANYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""The label of every namespace that nobody can set: its name."""
_OPERATORS: Final = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One thing that a selector asks of labels."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels are so. As in the API server, NotIn holds for what has no such label."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Labels that are asked for; an empty one selects everything."""

    expressions: tuple[Expression, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects something with exactly these labels."""
        return all(expression.holds(labels) for expression in self.expressions)

    def certainly_selects(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects whatever has these labels, and any others."""
        return self.selects(labels) and all(expression.key in labels for expression in self.expressions)

    def only(self, key: str) -> str | None:
        """The one value of a label that it selects; None when it may be several."""
        values = [expression.values for expression in self.expressions if expression.key == key and expression.operator == "In"]
        return next((next(iter(each)) for each in values if len(each) == 1), None)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Selector:
        """Read a label selector. Raises TypeError, ValueError, KeyError, AttributeError: it has not the form of one."""
        exact = [Expression(key=key, operator="In", values=frozenset({value})) for key, value in (raw.get("matchLabels") or {}).items()]
        others = [
            Expression(key=_text(each["key"]), operator=_operator(each["operator"]), values=frozenset(each.get("values") or ()))
            for each in raw.get("matchExpressions") or ()
        ]
        return cls(expressions=(*exact, *others))


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What may be reached: a range of addresses, or Pods of the policy's namespace (`namespaces` is None) or of others."""

    network: Network | None = None
    namespaces: Selector | None = None
    pods: Selector | None = None

    def __str__(self) -> str:
        """Say it as people write it."""
        if self.network is not None:
            return "anywhere" if self.network in ANYWHERE else str(self.network)
        if self.namespaces is None:
            return "Pods of its namespace"
        name = self.namespaces.only(NAMESPACE_NAME)
        return f"Pods of namespace {name}" if name else "Pods of several namespaces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of a protocol: a number (the last one, for a range), a name that only the Pod at the other end knows, or any."""

    protocol: str = "TCP"
    number: int | str | None = None
    last: int | None = None

    def __str__(self) -> str:
        """Say it as people write it."""
        if self.number is None:
            return f"every port ({self.protocol})"
        return f"port {self.number}{f'–{self.last}' if self.last is not None else ''}{'' if self.protocol == 'TCP' else f' ({self.protocol})'}"


ANY_PORT: Final = Port(protocol="any protocol")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """One rule for egress."""

    peers: tuple[Peer, ...]
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """What one NetworkPolicy says of egress: nothing, unless it `limits` it."""

    title: str
    namespace: str
    selector: Selector
    limits: bool
    egress: tuple[Allowed, ...] = ()

    @classmethod
    def of(cls, key: Key, raw: Mapping[str, Any]) -> NetworkPolicy:
        """Read a NetworkPolicy. Raises TypeError, ValueError, KeyError, AttributeError: it has not the form of one."""
        spec = raw["spec"]
        rules = spec.get("egress") or ()
        # As the API server fills it in: without types it is about ingress, and about egress where it has rules for that.
        limits = "Egress" in spec["policyTypes"] if spec.get("policyTypes") else bool(rules)
        return cls(
            title=f"NetworkPolicy {key}", namespace=key.namespace, selector=Selector.of(spec.get("podSelector") or {}), limits=limits,
            egress=tuple(_allowed(rule) for rule in rules),
        )  # fmt: skip


def _allowed(rule: Mapping[str, Any]) -> Allowed:
    peers, ports = rule.get("to") or (), rule.get("ports") or ()
    return Allowed(
        peers=tuple(_peer(peer) for peer in peers) or tuple(Peer(network=network) for network in ANYWHERE),
        ports=tuple(_port(port) for port in ports) or (ANY_PORT,),
    )


def _peer(raw: Mapping[str, Any]) -> Peer:
    if (block := raw.get("ipBlock")) is not None:
        # What it excepts makes it smaller: it counts as if it did not.
        return Peer(network=ip_network(block["cidr"], strict=False))
    namespaces, pods = raw.get("namespaceSelector"), raw.get("podSelector")
    return Peer(
        namespaces=None if namespaces is None else Selector.of(namespaces),
        pods=None if pods is None else Selector.of(pods),
    )


def _port(raw: Mapping[str, Any]) -> Port:
    number, last = raw.get("port"), raw.get("endPort")
    if not isinstance(number, int | str | None) or not isinstance(last, int | None):
        raise TypeError("a port is neither number nor name")
    return Port(protocol=str(raw.get("protocol") or "TCP"), number=number, last=last if last != number else None)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value


def _operator(operator: str) -> str:
    if operator not in _OPERATORS:
        raise ValueError(f"{str(operator)[:40]!r} is no operator of a selector")
    return operator
