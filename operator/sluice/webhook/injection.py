"""Adds to a Pod the init containers that check its weights before anything loads them.

A container that bears the name and is another one is replaced: that it exists proves nothing. Ours come last, after whatever fetches the weights. Asked a
second time, about a Pod that has them, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sluice.api.names import VERIFIER_PREFIX
from sluice.decision.weights import Check
from sluice.webhook.review import Object, Operation


def inject(pod: Object, checks: Sequence[Check]) -> Iterator[Operation]:
    """The operations (RFC 6902) that give the Pod exactly these checks. `pod` is one that could be read."""
    spec = pod["spec"]
    there = spec.get("initContainers") or []
    right = [index for index, container in enumerate(there) if any(check.is_exactly(container) for check in checks)]
    last = len(there) - len(checks)
    if right != list(range(last, len(there))):
        yield from _containers(there, checks)
    yield from _volumes(spec.get("volumes") or [], checks)


def _containers(there: list[Object], checks: Sequence[Check]) -> Iterator[Operation]:
    for index in reversed(range(len(there))):
        if there[index]["name"].startswith(VERIFIER_PREFIX):
            yield {"op": "test", "path": f"/spec/initContainers/{index}/name", "value": there[index]["name"]}
            yield {"op": "remove", "path": f"/spec/initContainers/{index}"}
    if not there:
        yield {"op": "add", "path": "/spec/initContainers", "value": []}
    for check in checks:
        yield {"op": "add", "path": "/spec/initContainers/-", "value": check.container()}


def _volumes(there: list[Object], checks: Sequence[Check]) -> Iterator[Operation]:
    wanted = [manifest_volume(check) for check in checks]
    names = {volume["name"] for volume in wanted}
    right = {volume["name"] for volume in there if volume in wanted}
    for index in reversed(range(len(there))):
        if there[index]["name"] in names - right:
            yield {"op": "test", "path": f"/spec/volumes/{index}/name", "value": there[index]["name"]}
            yield {"op": "remove", "path": f"/spec/volumes/{index}"}
    if not there:
        yield {"op": "add", "path": "/spec/volumes", "value": []}
    for volume in wanted:
        if volume["name"] not in right:
            yield {"op": "add", "path": "/spec/volumes/-", "value": volume}


def manifest_volume(check: Check) -> Object:
    """The signed list, out of a ConfigMap that the controller makes: the kubelet waits for it. What is in it is checked by the digest that the check names."""
    name = check.weights.manifest
    return {"name": name, "configMap": {"name": name, "defaultMode": 0o444}}
