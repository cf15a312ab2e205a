"""From a `ReleasePolicy` as the API server gives it to one that can be used, or that says why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluice.api.policy import PolicySpec
from sluice.decision.expressions import Expression, ExpressionMalformedError
from sluice.decision.model import InvalidPolicy, Policy
from sluice.decision.reading import Unreadable, read
from sluice.decision.revocations import Revocations
from sluice.decision.variables import TYPES
from sluice.evidence.families import KNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.api.families import Family
    from sluice.api.requirement import Requirement
    from sluice.evidence.families import Families


def read_policy(name: str, item: Mapping[str, Any]) -> Policy | InvalidPolicy:
    """Read a policy and compile its expressions. What it revokes is read for itself: it counts also where the rest cannot be used."""
    spec = read(PolicySpec, item)
    revocations = Revocations.read(f"ReleasePolicy {name}", item)
    if isinstance(spec, Unreadable):
        return InvalidPolicy(name=name, message=spec, revocations=revocations)
    try:
        return _compiled(name, spec, revocations)
    except ExpressionMalformedError as error:
        return InvalidPolicy(name=name, message=str(error), revocations=revocations)


def _compiled(name: str, spec: PolicySpec, revocations: Revocations) -> Policy | InvalidPolicy:
    tiers = tuple(Expression.compile(tier.when, field=f"spec.tiers[{tier.name}].when") for tier in spec.tiers)
    whens = {each.name: Expression.compile(each.when, field=f"spec.triggers[{each.name}].when") for each in spec.triggers if each.when}
    conditions = {
        each.name: Expression.compile(each.expression, field=f"spec.requirements[{each.name}].expression") for each in spec.requirements if each.expression
    }
    try:
        families = KNOWN.adding(spec.families) if spec.families else KNOWN
    except ValueError as error:
        return InvalidPolicy(name=name, message=f"spec.{error}", revocations=revocations)
    for requirement in spec.requirements:
        if unpinned := _unpinned(requirement, families):
            at = f"spec.requirements[{requirement.name}].suiteDigests"
            message = f"{at}: pins no suite of {unpinned[0]}, for which a measure asks; pin one, or ask for the family in a requirement without suiteDigests"
            return InvalidPolicy(name=name, message=message, revocations=revocations)
    known = {requirement.name for requirement in spec.requirements}
    for trigger in spec.triggers:
        # A slip in a name would leave out what it should add: no release may be judged by such a policy.
        if unknown := sorted({*trigger.adds} - known):
            message = f"spec.triggers[{trigger.name}].adds: no requirement is called {unknown[0]!r}; define it in spec.requirements, or name one that is there"
            return InvalidPolicy(name=name, message=message, revocations=revocations)
    expressions = (*tiers, *whens.values(), *conditions.values())
    reads = frozenset(variable for variable in TYPES if any(each.names(variable) for each in expressions))
    return Policy(
        name=name, spec=spec, tiers=tiers, whens=whens, conditions=conditions, revocations=revocations,
        compares=bool(spec.triggers) or "changes" in reads,
        reads=reads,
        families=families,
    )  # fmt: skip


def _unpinned(requirement: Requirement, families: Families) -> list[Family]:
    """Give the families that no run could meet: the requirement pins test sets, and none of theirs."""
    pins = requirement.suite_digests
    asked = {measure.family for measure in requirement.measures or () if measure.family}
    return sorted(family for family in asked if not families.suites_of(family) & pins.keys()) if pins else []


def selector_of(item: Mapping[str, Any]) -> Mapping[str, str]:
    """Give the labels that a policy selects. One that cannot be read selects every namespace: it is never ignored."""
    try:
        return dict(item["spec"]["selector"]["namespaces"]["matchLabels"])
    except (KeyError, TypeError, ValueError):
        return {}
