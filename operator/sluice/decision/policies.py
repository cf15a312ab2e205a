"""From a `ReleasePolicy` as the API server gives it to one that can be used, or that says why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluice.api.policy import PolicySpec
from sluice.decision.model import InvalidPolicy, Policy
from sluice.decision.reading import Unreadable, read
from sluice.decision.revocations import Revocations
from sluice.decision.tiers import TierMalformedError, TierProgram

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_policy(name: str, item: Mapping[str, Any]) -> Policy | InvalidPolicy:
    """Read a policy and compile its expressions. What it revokes is read for itself: it counts also where the rest cannot be used."""
    spec = read(PolicySpec, item)
    revocations = Revocations.read(f"ReleasePolicy {name}", item)
    if isinstance(spec, Unreadable):
        return InvalidPolicy(name=name, message=spec, revocations=revocations)
    try:
        return Policy(name=name, spec=spec, tiers=tuple(TierProgram.compile(tier) for tier in spec.tiers), revocations=revocations)
    except TierMalformedError as error:
        return InvalidPolicy(name=name, message=str(error), revocations=revocations)


def selector_of(item: Mapping[str, Any]) -> Mapping[str, str]:
    """Give the labels that a policy selects. One that cannot be read selects every namespace: it is never ignored."""
    try:
        return dict(item["spec"]["selector"]["namespaces"]["matchLabels"])
    except (KeyError, TypeError, ValueError):
        return {}
