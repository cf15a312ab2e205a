"""Whether policy accepts a build: by this builder, for this signer, started with these parameters.

A signer's word for a builder counts only in the pairs that a policy makes: `builders` of the signer says whom it may speak for (`signers.py`), `builders` of
the requirement whom it accepts. What the person who started the build chose is accepted as far as policy lists it, by exact value.

Source: https://slsa.dev/spec/v1.0/verifying-artifacts, steps 1 and 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.api.requirement import Requirement
    from sluice.provenance.slsa import BuildProvenance

Objection = tuple[Reason, str]
"""Why a statement by a permitted signer does not do."""


def objection(requirement: Requirement, build: BuildProvenance) -> Objection | None:
    """Say why `requirement` does not accept `build`; None when it does."""
    if requirement.builders is not None and build.builder_id not in requirement.builders:
        return Reason.BuilderNotPermitted, f"builder {build.builder_id} is not accepted"
    if requirement.external_parameters is None:
        return None
    for pointer, value in build.external_parameters:
        accepted = requirement.external_parameters.get(pointer)
        if accepted is None:
            return Reason.ParameterNotAccepted, f"the build was started with {pointer[:200]} = {value[:200]!r}, which policy does not list"
        if accepted != value:
            return Reason.ParameterNotAccepted, f"the build was started with {pointer[:200]} = {value[:200]!r}; policy accepts {accepted!r}"
    return None
