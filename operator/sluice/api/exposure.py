"""A live share: how many of the users a candidate meets, for how long, after the comparison and before it is promoted."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from sluice.api.base import Decimal, Duration, Model, Time

Share = Annotated[str, StringConstraints(pattern=r"^0\.(0{0,5}[1-9][0-9]{0,5})$", max_length=14)]
"""A part of what users ask, above 0 and below 1, in quotes."""


class Stage(Model):
    """A part of the users, for a time."""

    share: Share
    """At most this part of the endpoints of any Service is the candidate."""
    for_: Annotated[Duration, Field(alias="for")]
    """How long nothing may alarm."""


Stages = Annotated[list[Stage], Field(min_length=1, max_length=8)]


class OnShareTooSmall(StrEnum):
    """What follows when a single Pod of the candidate would already be a larger share than a stage allows."""

    HOLD = "Hold"
    SKIP = "Skip"


class ExposureStatus(Model):
    """How far the live share is. It is there from the moment at which the comparison found the candidate good enough."""

    stage: Annotated[int, Field(ge=0, le=8)]
    """Which of the stages, from 0; their number once all are over."""
    pods: Annotated[int, Field(ge=0, le=64)]
    """Candidates that users meet now."""
    share: Decimal
    """The largest part that these are of the endpoints of a Service."""
    ends: Annotated[int, Field(ge=0, le=1_000_000)]
    """How often containers of the candidates had ended before users met them."""
    started_at: Time
    """When the comparison was over."""
    since: Time | None = None
    """Since when the stage lasts; absent while users do not meet as much of the candidate as it asks for."""
