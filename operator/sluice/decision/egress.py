"""Egress held against NetworkPolicies: what they allow and no release declares, by the exact rule.

A NetworkPolicy knows addresses and labels, no names. So nothing that it allows is declared by a host name alone: it is an excess until the release says which
`addresses`, or which `namespace`, are meant. Whether the name leads there is not known here.

Labels of a Pod may be changed while it runs. So egress is limited for certain only by policies that select all Pods of the namespace, or those with the label
`sluice.dev/release`, which nobody can change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from sluice.decision.network import NAMESPACE_NAME, Network, NetworkPolicy, Peer, Port

if TYPE_CHECKING:
    from sluice.api.release import Authority, Egress

_DNS: Final = 53
_NAMES: Final = "kube-system"
"""Asking the cluster's own name servers is nobody's excess: without that no host name leads anywhere."""


def limits_for_certain(policies: Sequence[NetworkPolicy], labels: Mapping[str, str]) -> bool:
    """Whether some policy limits egress of every Pod that has these labels, whatever others it has."""
    return any(policy.limits and policy.selector.certainly_selects(labels) for policy in policies)


def excess_egress(policies: Sequence[NetworkPolicy], labels: Mapping[str, str], authority: Authority, *, certain: bool) -> Iterator[str]:
    """Give what policies allow beyond what is declared, one sentence for each rule: those that select a Pod with these labels, or do so for `certain`."""
    for policy in policies:
        if not policy.limits or not (policy.selector.certainly_selects(labels) if certain else policy.selector.selects(labels)):
            continue
        for number, rule in enumerate(policy.egress, start=1):
            beyond = [(peer, port) for peer in rule.peers for port in rule.ports if not _is_declared(peer, port, policy.namespace, authority.egress)]
            if beyond:
                peer, port = beyond[0]
                more = f" and {len(beyond) - 1} more" if len(beyond) > 1 else ""
                said = f"{policy.title} egress rule {number} allows {peer}, {port}{more}, which spec.authority.egress does not declare"
                yield said + _without_addresses(port, authority.egress)


def _is_declared(peer: Peer, port: Port, namespace: str, declared: Sequence[Egress]) -> bool:
    if port.last is not None or (port.protocol != "TCP" and (port.protocol, port.number) != ("UDP", _DNS)):
        return False
    if port.number == _DNS and peer.namespaces is not None and peer.namespaces.only(NAMESPACE_NAME) == _NAMES:
        return True
    return any(_covers(each, peer, namespace) for each in declared if each.port == port.number)


def _covers(declared: Egress, peer: Peer, namespace: str) -> bool:
    if peer.network is not None:
        return any(_within(peer.network, network) for network in _networks(declared))
    reached = namespace if peer.namespaces is None else peer.namespaces.only(NAMESPACE_NAME)
    return reached is not None and reached == declared.namespace


def _within(inner: Network, outer: Network) -> bool:
    return (
        inner.version == outer.version and int(inner.network_address) & int(outer.netmask) == int(outer.network_address) and inner.prefixlen >= outer.prefixlen
    )


def _networks(declared: Egress) -> Iterator[Network]:
    for text in (*(declared.addresses or ()), declared.host):
        try:
            yield ip_network(text)
        except ValueError:
            # A host name; or what is no range, which declares nothing.
            continue


def _without_addresses(port: Port, declared: Sequence[Egress]) -> str:
    """Say why a host that is declared by its name does not count."""
    names = sorted(f"{each.host}:{each.port}" for each in declared if each.port == port.number and each.namespace is None and not [*_networks(each)])
    return f"; {names[0]} is declared without addresses, and a NetworkPolicy knows no names" if names else ""
