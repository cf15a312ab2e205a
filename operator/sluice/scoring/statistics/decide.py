"""One plain entry for anyone's data: differences in, decision out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sluice.scoring.statistics.engine import Decision, Design, evaluate
from sluice.scoring.statistics.series import Series

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def decide(
    d: ArrayLike, slices: Sequence[object] | None = None, *, margin: float, alpha: float, planned: int,
    rank: ArrayLike | None = None, unit: Sequence[object] | None = None, promotes_after: int = 0,
) -> tuple[Decision, int]:  # fmt: skip
    """Decide whether a candidate is worse than its baseline by more than `margin`, and after how many pairs that was clear.

    `d[i]` is candidate − baseline on one prompt, in [−1, 1], larger is better; `nan` where the candidate did not answer, which counts −1. A prompt on
    which the *baseline* did not answer is no pair: leave it out. All sequences have shape (n,), in the order in which the pairs arrived.

    `slices[i]`: the slice of the pair, None or nan for no slice; also a slice that is worse rolls back, and promotion waits for `planned` pairs,
    whether or not a slice was seen yet.
    `planned`: the number of pairs after which the comparison ends. `alpha`: error rate in (0, 0.5) of each side, over all looks and slices together.
    `rank[i]`: the place of the pair, from 0, in a random order that was fixed before anything was asked. Only the gapless beginning of that order is
    looked at, because answers that come early may be the easy ones. None: the order of arrival is that random order.
    `unit[i]`: what was drawn independently, such as the prompt of a repeat; the mean of its pairs counts once. None: each pair is its own. The pairs of a
    unit may share one rank: then hand them in together.
    `promotes_after`: no promotion before so many pairs; a rollback does not wait.

    Returns the decision and the number of pairs it rests on, counted in rank order. Pairs beyond change nothing, and asking again with more of them does
    not either. `Inconclusive`, with the pairs so far, also while there are not enough. Raises ValueError when a value is out of its range.
    """
    for name, number in (("planned", planned), ("promotes_after", promotes_after)):
        try:
            index(number)
        except TypeError:
            raise ValueError(f"{name}: {number!r}; give a whole number of pairs") from None
    if not 0 < alpha < 0.5:  # noqa: PLR2004 - a test that errs every second time is none
        raise ValueError(f"alpha: {alpha}; give an error rate between 0 and 0.5, such as 0.05")
    design = Design(margin=margin, false_roll_back=alpha, false_promotion=alpha, planned=planned)
    every = _differences(d)
    in_slices, of_units = (_labels(name, given, len(every)) if given is not None else None for name, given in (("slices", slices), ("unit", unit)))
    if of_units is not None and None in of_units:
        raise ValueError("unit: None; every pair belongs to a unit, if only to one of its own")
    order = _finished(len(every), rank, of_units)[:planned]
    values = every[order]
    counts = [count for count in design.looks if count <= len(values)]
    units = _codes(of_units[index] for index in order) if of_units is not None else None
    pool = _series(values, units, counts)
    parts: dict[str, Series] | None = None
    if in_slices is not None:
        parts = {}
        codes = _codes(in_slices[index] for index in order)
        for code in range(codes.max(initial=-1) + 1):
            parts[f"{code:09d}"] = _series(values, units, counts, inside=codes == code)
    outcome = evaluate(pool, parts, design, promotes_from=sum(1 for count in design.looks[:-1] if count < promotes_after))
    if outcome.decision is Decision.INCONCLUSIVE:
        return outcome.decision, len(values)
    return outcome.decision, counts[outcome.look]


def _differences(d: ArrayLike) -> Floats:
    try:
        values = np.asarray(d, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"d: {error}; give one number for each pair, nan where the candidate did not answer, shape (n,)") from None
    if values.ndim != 1:
        raise ValueError(f"d: an array of shape {values.shape}; give one difference for each pair, shape (n,)")
    values = np.where(np.isnan(values), -1.0, values)
    outside = np.flatnonzero(np.abs(values) > 1.0)
    if outside.size:
        raise ValueError(f"d[{outside[0]}]: {values[outside[0]]}; a difference lies in [-1, 1]: scale the scores to [0, 1] before subtracting")
    return values


def _labels(name: str, given: Iterable[object], n: int) -> list[Hashable]:
    """Return the labels by position, whatever a column of a table calls its rows, with None for `nan`: that is how tables write that there is none."""
    labels: list[Hashable] = []
    try:
        every = list(given)
    except TypeError:
        raise ValueError(f"{name}: {repr(given)[:80]}; give one label for each pair") from None
    if len(every) != n:
        raise ValueError(f"{name}: {len(every)} entries for {n} pairs; give one for each")
    for place, label in enumerate(every):
        try:
            hash(label)
            labels.append(label if label == label else None)  # noqa: PLR0124 - only nan is unlike itself
        except TypeError:
            raise ValueError(f"{name}[{place}]: {repr(label)[:80]}; a label is a string or a number, None for none; shape (n,)") from None
    return labels


def _finished(n: int, rank: ArrayLike | None, repeats: Sequence[Hashable] | None) -> Integers:
    """Return the indices of the pairs in rank order, up to the first rank that is missing."""
    if rank is None:
        return np.arange(n)
    given = np.asarray(rank)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.number) or np.iscomplexobj(given) or (given != np.floor(given)).any():
        raise ValueError("rank: give one whole number for each pair, shape (n,)")
    if len(given) != n:
        raise ValueError(f"rank: {len(given)} entries for {n} pairs; give one for each")
    order = np.argsort(given, kind="stable")
    ordered = given[order]
    if n and ordered[0] < 0:
        raise ValueError(f"rank: {ordered[0]}; places count from 0")
    steps = np.diff(ordered, prepend=-1.0)
    for again in np.flatnonzero(steps == 0):
        if repeats is None or repeats[order[again]] != repeats[order[again - 1]]:
            raise ValueError(f"rank: {ordered[again]} twice; only the repeats of a unit share a place")
    gap = np.flatnonzero(steps > 1)
    return order[: gap[0]] if gap.size else order


def _codes(labels: Iterable[Hashable]) -> Integers:
    """Number the labels in the order in which they first appear; −1 for None."""
    numbers: dict[Hashable, int] = {}
    return np.array([-1 if label is None else numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def _series(values: Floats, units: Integers | None, counts: Sequence[int], inside: NDArray[np.bool_] | None = None) -> Series:
    """Count the units' differences at each look, in the pool or `inside` a slice."""
    mine = np.arange(counts[-1] if counts else 0)
    mine = mine if inside is None else mine[inside[: len(mine)]]
    if units is None:
        # The look at which each pair is first there.
        return Series.arriving(values[mine], np.searchsorted(np.array(counts), mine, side="right"), looks=len(counts))
    means, at = [], []
    for look, count in enumerate(counts):
        there = mine[mine < count]
        number = np.bincount(units[there])
        sums = np.bincount(units[there], weights=values[there])
        means.append(sums[number > 0] / number[number > 0])
        at.append(np.full(len(means[-1]), look))
    # A unit's mean moves with each of its repeats, so each look has its own count of all.
    if not means:
        return Series.arriving(np.zeros(0), np.zeros(0, dtype=np.int64), looks=0)
    return Series.standing(np.concatenate(means), np.concatenate(at), looks=len(counts))
