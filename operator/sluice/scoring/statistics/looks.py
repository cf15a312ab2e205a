"""When the engine looks: at fixed numbers of units, densely while few are there, evenly later.

A gross fault shows within dozens of units and must not wait for a thirtieth of the plan; a small one shows late, where more looks would only cost power.
Fixed in advance, because what is looked at in between would have to be paid for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

FIRST: Final = 10
"""Units at the first look: fewer say nothing at the levels that we spend on them."""
_GROWTH: Final = 1.05
_LEAST: Final = 4
"""Units between looks: answers of yes or no come in so few steps that a look in between could not spend what it may."""
_EVEN: Final = 30
_FOR_SLICES: Final = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


@lru_cache(maxsize=256)
def looks(planned: int, *, minimum: int = FIRST) -> tuple[int, ...]:
    """Return the increasing numbers of units at which the engine looks; the last is `planned`. Raises ValueError for a plan of less than one unit."""
    if planned < 1:
        raise ValueError(f"planned: {planned} units; plan at least one")
    found, at = [], float(max(1, min(FIRST, planned)))
    while at < planned:
        found.append(round(at))
        at += max(_LEAST, min(at * (_GROWTH - 1), planned / _EVEN))
    # The last step is not a short one.
    least = max(_LEAST, planned / _EVEN) / 2
    return (*(number for number in found if number >= minimum and planned - number >= least), planned)


@lru_cache(maxsize=256)
def slice_looks(planned: int, *, minimum: int = FIRST) -> tuple[int, ...]:
    """Return the subset of `looks` at which slices are looked at, each of its own: fewer, because each slice has only its share of the units."""
    every = looks(planned, minimum=minimum)
    return tuple(sorted({min(number for number in every if number >= share * planned) for share in _FOR_SLICES}))
