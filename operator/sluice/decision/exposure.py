"""The stages of a live share as numbers, and which of two schedules lets users meet more of a candidate."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING

from sluice.api.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sluice.api.exposure import Stage as ApiStage

_ALL = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """At most `share` of the endpoints of any Service, in (0, 1), for `seconds`."""

    share: Decimal
    seconds: int
    written: str = field(compare=False)
    """The time as it was written: `10m` and `600s` are the same stage."""


def stages_of(written: Iterable[ApiStage] | None) -> tuple[Stage, ...]:
    """Read stages as resources write them."""
    return tuple(Stage(share=Decimal(stage.share), seconds=int(parse_duration(stage.for_).total_seconds()), written=stage.for_) for stage in written or ())


def never_larger(kept: Sequence[Stage], asked: Sequence[Stage]) -> bool:
    """Tell whether `kept` lets users meet no more of a candidate than `asked` does, at any moment; after the last stage everybody meets it."""
    moments = {0, *accumulate(stage.seconds for stage in kept), *accumulate(stage.seconds for stage in asked)}
    return all(_share_at(kept, moment) <= _share_at(asked, moment) for moment in moments)


def _share_at(stages: Sequence[Stage], moment: int) -> Decimal:
    ends = accumulate(stage.seconds for stage in stages)
    return next((stage.share for stage, end in zip(stages, ends, strict=True) if moment < end), _ALL)
