"""Histograms whose bins are frozen with the reference.

Bins that are set by the data that they describe hide what they should show: one outlier stretches them all, and everything else falls into one.
So the reference sets the bins, once, at its own quantiles, and whatever comes later is counted in them. Counts add: over replicas, shards, hours.

A numeric bin holds what is above the edge before it and at most its own edge, as the `le` buckets of Prometheus do. The last one holds what is
above all edges: with frozen quantiles, what is larger than anything in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict

from sluice.scoring.drift.detector import STORED
from sluice.scoring.drift.refused import DriftRefused

EDGES_LIMIT = 256
NAMES_LIMIT = 64
_BINS_LIMIT = EDGES_LIMIT - 4  # the least and the tails take edges too
_NAME_LENGTH_LIMIT = 253
_TAILS = (0.01, 0.99, 0.999)
"""Edges here beside the even ones, so that a longer tail shows before it is longer than anything seen."""
COUNT_LIMIT = 2**53
"""Observations; up to here a float holds each whole number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeric:
    """Bins of numbers, by their upper edges, rising and finite; one more bin is above the last."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.edges) <= EDGES_LIMIT:
            raise DriftRefused(f"{len(self.edges)} edges; between 1 and {EDGES_LIMIT} are possible")
        if not all(map(isfinite, self.edges)) or any(before >= after for before, after in pairwise(self.edges)):
            raise DriftRefused("the edges of bins are finite and rise from one to the next")

    @property
    def size(self) -> int:
        """How many bins."""
        return len(self.edges) + 1

    def index(self, values: ArrayLike) -> NDArray[np.intp]:
        """The bin of each of `values`; infinity is in the last. Raises DriftRefused for what is no number."""
        x = np.asarray(values, dtype=np.float64).reshape(-1)
        if np.isnan(x).any():
            raise DriftRefused(f"observation {int(np.isnan(x).argmax())} is not a number; count a missing one as the worst, such as infinity for a latency")
        return np.searchsorted(np.array(self.edges), x, side="left")


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """Bins of names, sorted; one more bin is for every other name."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= NAMES_LIMIT:
            raise DriftRefused(f"{len(self.names)} names; between 1 and {NAMES_LIMIT} are possible, the rest counts as other")
        if list(self.names) != sorted(set(self.names)) or any(len(name) > _NAME_LENGTH_LIMIT for name in self.names):
            raise DriftRefused(f"the names of bins are sorted, different, and at most {_NAME_LENGTH_LIMIT} characters long")

    @property
    def size(self) -> int:
        """How many bins."""
        return len(self.names) + 1

    def index(self, values: Sequence[str]) -> NDArray[np.intp]:
        """The bin of each of `values`."""
        place = {name: index for index, name in enumerate(self.names)}
        return np.array([place.get(value, len(place)) for value in values], dtype=np.intp)


Bins: TypeAlias = Numeric | Categories


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many observations were in which bin."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    bins: Bins
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != self.bins.size or any(not 0 <= count <= COUNT_LIMIT for count in self.counts):
            raise DriftRefused(f"a histogram has {self.bins.size} counts, none below 0")

    @property
    def n(self) -> int:
        """How many observations."""
        return sum(self.counts)

    def with_values(self, values: ArrayLike | Sequence[str]) -> Histogram:
        """This one and `values`. Raises DriftRefused for what does not belong into such bins."""
        more = np.bincount(self.bins.index(values), minlength=self.bins.size)  # type: ignore[arg-type]  # numbers for Numeric, names for Categories
        return replace(self, counts=tuple((np.array(self.counts, dtype=np.int64) + more).tolist()))

    def __add__(self, other: Histogram) -> Histogram:
        """Both together. Raises DriftRefused for different bins."""
        if self.bins != other.bins:
            raise DriftRefused("only histograms over the same frozen bins can be added")
        return replace(self, counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))


def empty(bins: Bins) -> Histogram:
    """No observations yet."""
    return Histogram(bins=bins, counts=(0,) * bins.size)


def freeze_numbers(values: ArrayLike, *, bins: int = 32) -> Histogram:
    """The reference histogram of `values`: edges at their least and greatest, at `bins` − 1 even quantiles between, and at 1, 99 and 99.9 %.

    Edges are values that occurred, so that equal values (a cache hit of 0 ms) have a bin of their own. Raises DriftRefused for values that are not finite.
    """
    x = np.asarray(values, dtype=np.float64).reshape(-1)
    if not x.size or not np.isfinite(x).all():
        raise DriftRefused("a reference needs numbers, all of them finite")
    if not 2 <= bins <= _BINS_LIMIT:  # noqa: PLR2004 - one bin is no distribution
        raise DriftRefused(f"{bins} bins; between 2 and {_BINS_LIMIT} are possible")
    places = np.concatenate([np.arange(bins + 1) / bins, _TAILS])
    edges = np.unique(np.quantile(x, places, method="inverted_cdf"))
    return empty(Numeric(edges=tuple(edges.tolist()))).with_values(x)


def freeze_names(counts: Mapping[str, int]) -> Histogram:
    """The reference histogram of names; beyond the 64 most frequent they count as other. Raises DriftRefused for impossible counts."""
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:NAMES_LIMIT]
    names = tuple(sorted(frequent))
    other = sum(count for name, count in counts.items() if name not in set(names))
    return Histogram(bins=Categories(names=names), counts=(*(counts[name] for name in names), other))
