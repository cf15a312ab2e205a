"""The tier of a release: the first whose condition is true.

Conditions are CEL over `release`, the spec of the ModelRelease with its defaults filled in (`release.authority.tools` is always a list).
A condition that fails to evaluate leaves the tier unknown, and then the requirements of every tier apply.

The library bounds nesting (32) and iterations (10,000) itself, but not what one step costs. So there is no `+`, and with it no `map`, `filter` and
`exists_one`: repeated joining takes 4 GB from 250 characters. And there are at most three comprehensions: nine, each around a list of the one before,
compare for seconds, three of any length for less than one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cel_expr_python import cel

from sluice.api.release import Authority

if TYPE_CHECKING:
    from sluice.api.policy import Tier
    from sluice.decision.model import Policy, Release

_ENVIRONMENT = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml("stdlib: {exclude_functions: [{name: _+_}]}"),
    variables={"release": cel.Type.DYN},
)
_COMPREHENSION = re.compile(r"\.\s*(?:exists|all)\s*\(")
_MOST_COMPREHENSIONS = 3
_NUL = "\\u0000"
"""NUL, as JSON writes it."""


class TierMalformedError(ValueError):
    """A tier's condition does not compile, or is no condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierProgram:
    """A tier with its compiled condition."""

    name: str
    condition: cel.Expression

    @classmethod
    def compile(cls, tier: Tier) -> TierProgram:
        """Compile a tier's condition.

        Raises:
            TierMalformedError: it does not compile, has too many comprehensions, or its type is known and not bool.
        """
        if (count := len(_COMPREHENSION.findall(tier.when))) > _MOST_COMPREHENSIONS:
            message = f"spec.tiers[{tier.name}].when has {count} comprehensions (exists, all), more than {_MOST_COMPREHENSIONS}: make it two tiers"
            raise TierMalformedError(message)
        try:
            condition = _ENVIRONMENT.compile(tier.when)
        except RuntimeError as error:
            message = f"spec.tiers[{tier.name}].when: {str(error).splitlines()[0]} (value: {tier.when!r})"
            raise TierMalformedError(message) from error
        if condition.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
            message = f"spec.tiers[{tier.name}].when is {condition.return_type().name()}, not bool (value: {tier.when!r})"
            raise TierMalformedError(message)
        return cls(name=tier.name, condition=condition)


def tier_of(policy: Policy, release: Release) -> str | None:
    """Return the name of the first tier whose condition is true; None when none is, or one before it could not be evaluated."""
    spec = release.spec if release.spec.authority else release.spec.model_copy(update={"authority": Authority()})
    variables = {"release": spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    if _NUL in spec.model_dump_json():
        # The library ends a string there: what comes after would be hidden from every condition.
        return None
    for tier in policy.tiers:
        try:
            value = tier.condition.eval(data=variables)
        except RuntimeError:
            # Over the library's budget. Its other failures come back as a value of type ERROR.
            return None
        if value.type() != cel.Type.BOOL:
            return None
        if value.value():
            return tier.name
    return None
