"""The detector under all others: Shiryaev–Roberts over a mixture of bets, with a promise about how often it cries wolf.

At every observation, 1 of new money is put on all bets together, by weight, and what is already there is paid out and staked again:

    R(t) = (R(t − 1) + 1) · payment(t),      alarm when the weighted sum of R reaches A.

As long as nothing has changed, no bet gains on average, so the sum of R minus the number of observations is a supermartingale that begins at 0.
At the alarm R is at least A, so the mean number of observations to a false alarm is **at least A** (Shin, Ramdas and Rinaldo 2024, "E-detectors:
a nonparametric framework for sequential change detection"). No distribution and no independence is assumed: only that the mean of the next
observation, given all before it, is in the envelope. That is where a stream of bursts leaves the promise. And it holds for a share of
1 − `reference_error` of references: one that misleads about its own mean makes what is normal look like drift (see `envelope`).

Observations come one by one (`observe`), or together, in an order that is not known or means nothing (`tally`): then as much new money as there are
observations is put in before all of them, which keeps the promise in observations and costs at most one batch of delay. Counts of replicas and shards
add up before they are told; states do not. The cases of a suite belong together: asked one after the other, ten hard ones in a row are a burst. Together
it is enough that the mean over all of them is in the envelope (a product of payments with given means is the largest when these are equal).

A state is a value: it goes to JSON and back bit for bit, and however a stream is cut into batches, the state after it is the same. An alarm stays
in the state until somebody starts anew: a process that dies between seeing an alarm and acting on it sees it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from sluice.scoring.drift.bets import Bets, Direction, Floats
from sluice.scoring.drift.refused import DriftRefused

_BLOCK = 512  # observations looked at before asking whether one of them was the alarm
_CAPITAL_LIMIT = 1e300  # a batch of counts may pay more than a float holds; the alarm is the same
STORED = ConfigDict(extra="forbid", allow_inf_nan=False)
"""How pydantic reads what was stored: nothing unknown, and numbers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A change: what, which way, since when, and how sure."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    feature: str
    direction: Direction
    at: int
    """Observations seen when it was found."""
    since: int
    """Observations seen before the change, as the best bet has it (its CUSUM last stood at its lowest)."""
    low: float
    high: float
    """Means that would be no drift."""
    observed: float
    """Mean of the feature since the change."""
    evidence: float
    """The weighted sum of R; at least the stated run length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a detector stands. Everything it knows: a few numbers for each bet."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    detector: str
    """Digest of the detector's settings and reference; no other one may go on with this state."""
    seen: int
    capital: tuple[float, ...]
    """R of each bet."""
    walk: tuple[float, ...]
    """Sum of the logarithms of all payments of each bet, whose lowest point dates the change."""
    lowest: tuple[float, ...]
    lowest_at: tuple[int, ...]
    """Observations seen then."""
    total: tuple[float, ...]
    """Sum of each feature."""
    total_then: tuple[float, ...]
    """`total` of each bet's feature at its lowest point."""
    alarm: Alarm | None = None


def advance(capital: Floats, payments: Floats) -> Floats:
    """One observation: R of each bet after it. Any shape, the last axis being the bets."""
    return (capital + 1) * payments


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Detector:
    """Bets, the threshold, and the name of what they belong to."""

    bets: Bets
    run_length: float
    digest: str

    def start(self) -> State:
        """The state before the first observation."""
        none = (0.0,) * self.bets.index.size
        return State(
            detector=self.digest,
            seen=0,
            capital=none,
            walk=none,
            lowest=none,
            lowest_at=(0,) * len(none),
            total=(0.0,) * len(self.bets.features),
            total_then=none,
        )

    def observe(self, state: State, values: Floats) -> State:
        """`state` after `values`, shape (observations, features), in [0, 1] and in their order; what follows an alarm changes nothing.

        Raises DriftRefused for a state of another detector.
        """
        self._mine(state)
        for begin in range(0, len(values), _BLOCK):
            if state.alarm is not None:
                break
            state = self._block(state, values[begin : begin + _BLOCK])
        return state

    def tally(self, state: State, values: Floats, counts: NDArray[np.int64]) -> State:
        """`state` after a batch in which `counts[i]` observations had `values[i]`, shape (kinds, features), in an order that is not known.

        Raises DriftRefused for a state of another detector.
        """
        self._mine(state)
        together = int(counts.sum())
        if state.alarm is not None or together == 0:
            return state
        times = counts.astype(np.float64)
        logs = times @ np.log(self.bets.payments(values))
        with np.errstate(over="ignore", under="ignore"):
            capital = np.minimum((np.array(state.capital) + together) * np.exp(logs), _CAPITAL_LIMIT)
        total = np.array(state.total) + times @ values
        walk = np.array(state.walk) + logs
        seen = state.seen + together
        after = self._dated(state, capital=capital, seen=seen, total=total, walk=walk, evidence=float((capital * self.bets.weight).sum()))
        if after.alarm is not None:
            return after
        lower = walk < np.array(state.lowest)
        return replace(
            after,
            lowest=_floats(np.where(lower, walk, state.lowest)),
            lowest_at=_integers(np.where(lower, seen, state.lowest_at)),
            total_then=_floats(np.where(lower, total[self.bets.index], state.total_then)),
        )

    def _block(self, state: State, values: Floats) -> State:
        payments = self.bets.payments(values)
        history = np.empty_like(payments)
        capital = np.array(state.capital)
        with np.errstate(over="ignore"):  # after the alarm; what is there is not looked at
            for row, paid in zip(history, payments, strict=True):
                row[:] = capital = advance(capital, paid)
            evidence = (history * self.bets.weight).sum(axis=1)
        over = np.flatnonzero(evidence >= self.run_length)
        count = int(over[0]) + 1 if over.size else len(values)

        # The walk of every bet, from where it stood: its lowest point is the likeliest moment of the change.
        walks = np.cumsum(np.vstack([state.walk, np.log(payments[:count])]), axis=0)
        totals = np.cumsum(np.vstack([state.total, values[:count]]), axis=0)
        lowest_row = walks[:-1].argmin(axis=0) if over.size else walks.argmin(axis=0)
        bets = np.arange(lowest_row.size)
        lower = walks[lowest_row, bets] < np.array(state.lowest)
        dated = replace(
            state,
            lowest=_floats(np.where(lower, walks[lowest_row, bets], state.lowest)),
            lowest_at=_integers(np.where(lower, state.seen + lowest_row, state.lowest_at)),
            total_then=_floats(np.where(lower, totals[lowest_row, self.bets.index], state.total_then)),
        )
        return self._dated(dated, capital=history[count - 1], seen=state.seen + count, total=totals[-1], walk=walks[-1], evidence=float(evidence[count - 1]))

    def _dated(self, state: State, *, capital: Floats, seen: int, total: Floats, walk: Floats, evidence: float) -> State:
        """`state` moved on, with an alarm when the evidence is enough."""
        alarm = None
        if evidence >= self.run_length:
            best = int((capital * self.bets.weight).argmax())
            index, since = int(self.bets.index[best]), state.lowest_at[best]
            feature = self.bets.features[index]
            alarm = Alarm(
                feature=feature.name,
                direction=Direction.RISE if self.bets.rise[best] else Direction.FALL,
                at=seen,
                since=since,
                low=feature.envelope.low,
                high=feature.envelope.high,
                observed=float(total[index] - state.total_then[best]) / (seen - since),
                evidence=evidence,
            )
        return replace(state, seen=seen, capital=_floats(capital), walk=_floats(walk), total=_floats(total), alarm=alarm)

    def _mine(self, state: State) -> None:
        sizes = {len(state.capital), len(state.walk), len(state.lowest), len(state.lowest_at), len(state.total_then)}
        if state.detector != self.digest or sizes != {self.bets.index.size} or len(state.total) != len(self.bets.features):
            raise DriftRefused(f"the state is of detector {state.detector}, not of {self.digest}: other settings or another reference; start anew")


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())


def _integers(values: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(values.tolist())
