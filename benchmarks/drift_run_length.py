"""Drift after release: how long to a false alarm, how soon to a true one, beside two rules that are in use.

The promise is the average run length: at least as many observations to a false alarm as stated. It is measured where it is tightest (tolerance 0,
the mean just where the reference has it), on streams that keep its conditions and on two that do not. Delays count observations after the change,
which comes after 1,000 unchanged ones: the median over simulations, and the share that is found within 5,000. The rules beside it are a population
stability index of at least 0.2 on windows of 500, and a Shewhart chart with limits at three standard errors on groups of 100 (for a mix: of any
share); both know the true reference.

A known reference is one of 10¹² observations; all others are drawn anew for each simulation, so what they do not know is in the figures.

    python benchmarks/drift_run_length.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.scoring.drift.bets import Bets, Side
from sluice.scoring.drift.detector import advance
from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.histogram import Categories, Histogram, freeze_numbers
from sluice.scoring.drift.mean import MeanDetector, MeanReference
from sluice.scoring.drift.settings import Promise

RUN_LENGTH = 10_000
TARGET_REFUSAL_DELAY = 118
"""Of the best earlier experiment, by its own account: refusals .10 → .20, both directions watched, known reference."""
UNCHANGED = 1000
LONGEST_DELAY = 5000
PSI_WINDOW, PSI_LIMIT = 500, 0.2
SHEWHART_GROUP, SHEWHART_LIMIT = 100, 3.0
KNOWN = 10**12

Floats: TypeAlias = NDArray[np.float64]
Draw: TypeAlias = Callable[[np.random.Generator, int, int], Floats]
"""Observations of shape (simulations, observations)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The bets of one detector, and what they see of values of shape (observations,)."""

    bets: Bets
    features: Callable[[Floats], Floats]


Watch: TypeAlias = Callable[[np.random.Generator], Watched]
"""A detector with a reference of its own."""


class Crowd:
    """Many detectors of one kind side by side, each with its own reference and stream: the same recursion, and payments from the same bets.

    A payment is linear in its feature, so the real bets are asked at 0 and at 1.
    """

    def __init__(self, watched: Sequence[Watched]) -> None:
        self.watched = watched
        size = max(one.bets.index.size for one in watched)
        self.at_0, self.at_1, self.weight = np.ones((len(watched), size)), np.ones((len(watched), size)), np.zeros((len(watched), size))
        self.index = np.zeros((len(watched), size), dtype=np.intp)
        for row, one in enumerate(watched):
            width, here = len(one.bets.features), slice(0, one.bets.index.size)
            self.at_0[row, here], self.at_1[row, here] = one.bets.payments(np.zeros(width)), one.bets.payments(np.ones(width))
            self.weight[row, here], self.index[row, here] = one.bets.weight, one.bets.index
        self.capital = np.zeros((len(watched), size))

    def features(self, values: Floats) -> Floats:
        """What the bets see of `values` (simulations, observations): shape (observations, simulations, features)."""
        return np.stack([one.features(row) for one, row in zip(self.watched, values, strict=True)], axis=1)

    def step(self, features: Floats) -> NDArray[np.bool_]:
        """One observation of each; who has an alarm."""
        x = features if features.shape[1] == 1 else np.take_along_axis(features, self.index, axis=1)
        self.capital = advance(self.capital, self.at_0 + x * (self.at_1 - self.at_0))
        return np.asarray((self.capital * self.weight).sum(axis=1) >= RUN_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is simulated."""

    crowd: int
    false_alarm_steps: int


BLOCK = 250


def average_run_length(watch: Watch, draw: Draw, scale: Scale) -> float:
    """Observations for each false alarm, all of them when there is none; a detector starts anew after one."""
    rng = np.random.default_rng(1)
    crowd = Crowd([watch(rng) for _ in range(scale.crowd)])
    alarms = 0
    for _ in range(scale.false_alarm_steps // BLOCK):
        for features in crowd.features(draw(rng, scale.crowd, BLOCK)):
            alarmed = crowd.step(features)
            alarms += int(alarmed.sum())
            crowd.capital[alarmed] = 0
    return scale.crowd * scale.false_alarm_steps / max(alarms, 1)


def delays(watch: Watch, before: Draw, after: Draw, scale: Scale) -> Floats:
    """Observations from the change to the alarm, infinite when there is none in time."""
    rng = np.random.default_rng(2)
    crowd = Crowd([watch(rng) for _ in range(scale.crowd)])
    for features in crowd.features(before(rng, scale.crowd, UNCHANGED)):
        crowd.capital[crowd.step(features)] = 0
    found = np.full(scale.crowd, np.inf)
    for begin in range(0, LONGEST_DELAY, BLOCK):
        for place, features in enumerate(crowd.features(after(rng, scale.crowd, BLOCK))):
            alarmed = crowd.step(features)
            found[alarmed & np.isinf(found)] = begin + place + 1
        if np.isfinite(found).all():
            break
    return found


def windows_until_alarm(alarmed: NDArray[np.bool_], size: int, rng: np.random.Generator) -> Floats:
    """Observations to the end of the first window that alarms; the change falls anywhere into the window before."""
    first = np.where(alarmed.any(axis=1), alarmed.argmax(axis=1) + 1.0, np.inf)
    return np.asarray(first * size + rng.integers(0, size, len(alarmed)))


def shares(values: Floats, edges: Floats, size: int) -> Floats:
    """Share of each bin in windows of `size`: shape (simulations, windows, bins)."""
    count = values.shape[1] // size
    bins = np.searchsorted(edges, values[:, : count * size], side="left").reshape(len(values), count, size)
    return np.stack([(bins == each).mean(axis=2) for each in range(len(edges) + 1)], axis=2)


def psi_alarms(values: Floats, edges: Floats, reference: Floats) -> NDArray[np.bool_]:
    """Windows of 500 whose population stability index is at least 0.2; empty bins count one in 10,000."""
    window = np.maximum(shares(values, edges, PSI_WINDOW), 1e-4)
    expected = np.maximum(reference, 1e-4)
    return np.asarray(((window - expected) * np.log(window / expected)).sum(axis=2) >= PSI_LIMIT)


def shewhart_alarms(values: Floats, mean: float, deviation: float) -> NDArray[np.bool_]:
    """Groups of 100 whose mean is three standard errors off."""
    count = values.shape[1] // SHEWHART_GROUP
    means = values[:, : count * SHEWHART_GROUP].reshape(len(values), count, SHEWHART_GROUP).mean(axis=2)
    return np.asarray(np.abs(means - mean) > SHEWHART_LIMIT * deviation / SHEWHART_GROUP**0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What the rules in use need to know: the truth."""

    edges: Floats
    shares: Floats
    chart: Callable[[Floats], NDArray[np.bool_]]


def yes_or_no(rate: float) -> Draw:
    """Independent events."""
    return lambda rng, many, n: (rng.random((many, n)) < rate).astype(np.float64)


def in_bursts(rate: float, stay: float) -> Draw:
    """Events of the same rate, where with probability `stay` the next is as the one before: the mean given the past is not the mean."""

    def draw(rng: np.random.Generator, many: int, n: int) -> Floats:
        fresh = (rng.random((many, n)) < rate).astype(np.float64)
        as_before = rng.random((many, n)) < stay
        as_before[:, 0] = False
        source = np.maximum.accumulate(np.where(as_before, 0, np.arange(n)), axis=1)
        return np.take_along_axis(fresh, source, axis=1)

    return draw


def in_groups(draw: Draw, size: int) -> Draw:
    """One mean of `size` observations at a time: what to do with bursts."""
    return lambda rng, many, n: draw(rng, many, n * size).reshape(many, n, size).mean(axis=2)


def beta(a: float, b: float) -> Draw:
    """Scores in [0, 1]."""
    return lambda rng, many, n: rng.beta(a, b, (many, n))


def latency(factor: float = 1.0, slow: float = 0.0) -> Draw:
    """Milliseconds, log-normal around 400; a share `slow` takes five times as long."""
    return lambda rng, many, n: 400 * factor * np.exp(0.5 * rng.standard_normal((many, n))) * np.where(rng.random((many, n)) < slow, 5, 1)


MIX = (0.5, 0.3, 0.15, 0.04, 0.01, 0.0)
TOOLS = ("a search", "b read", "c write", "d send", "e pay")


def calls(shares_of_tools: Sequence[float]) -> Draw:
    """Places in the list of tools; the last is one that the reference has never seen."""
    limits = np.cumsum(shares_of_tools)
    return lambda rng, many, n: np.searchsorted(limits, rng.random((many, n))).clip(0, len(limits) - 1).astype(np.float64)


PROMISE = Promise(run_length=RUN_LENGTH)


def mean_of(reference: MeanReference, side: Side = Side.BOTH) -> Watched:
    """The detector of a mean."""
    return Watched(bets=MeanDetector(reference=reference, promise=PROMISE, side=side).core.bets, features=lambda values: values[:, np.newaxis])


def of_scores(draw: Draw, n: int) -> Watch:
    """References of `n` observations of `draw`."""
    return lambda rng: mean_of(MeanReference.of(draw(rng, 1, n)))


def of_rate(rate: float, n: int = KNOWN, side: Side = Side.BOTH) -> Watch:
    """References of `n` events, by their number."""
    return lambda rng: mean_of(MeanReference.of_counts(int(rng.binomial(n, rate)) if n < KNOWN else int(rate * n), n), side)


def of_known(mean: float, variance: float) -> Watch:
    """A reference whose mean is as good as known."""
    return lambda _: mean_of(MeanReference(n=KNOWN, mean=mean, variance=variance))


def of_sample_taken_for_true(rate: float, n: int) -> Watch:
    """What we do not do: the mean of `n` events, as if it were the truth."""
    return lambda rng: mean_of(MeanReference(n=KNOWN, mean=rng.binomial(n, rate) / n, variance=rate * (1 - rate)))


def of_even_stakes(rate: float) -> Watch:
    """What we no longer do: 12 stakes at equal distances each way, all of one weight."""
    ours = of_rate(rate)
    stake = np.tile((np.arange(12) + 0.5) / 12, 2)

    def watch(rng: np.random.Generator) -> Watched:
        one = ours(rng)
        bets = Bets(one.bets.features, np.zeros(24, dtype=np.intp), np.repeat([True, False], 12), stake, np.full(24, 1 / 24))
        return replace(one, bets=bets)

    return watch


def of_latency(n: int) -> Watch:
    """References of `n` latencies."""

    def watch(rng: np.random.Generator) -> Watched:
        detector = DistributionDetector(reference=freeze_numbers(latency()(rng, 1, n)), promise=PROMISE)
        return Watched(bets=detector.core.bets, features=detector.features)

    return watch


def of_calls(n: int) -> Watch:
    """References of `n` calls."""

    def watch(rng: np.random.Generator) -> Watched:
        counts = tuple(rng.multinomial(n, MIX).tolist())
        detector = DistributionDetector(reference=Histogram(bins=Categories(names=TOOLS), counts=counts), promise=PROMISE)
        each = detector.features((*TOOLS, "f never seen"))
        return Watched(bets=detector.core.bets, features=lambda places: each[places.astype(np.intp)])

    return watch


def same_as_observed(streams: int = 20) -> bool:
    """Whether the crowd alarms at the very observations at which the detector itself does."""
    rng = np.random.default_rng(7)
    detector = MeanDetector(reference=MeanReference.of_counts(1000, 10_000), promise=PROMISE)
    values = yes_or_no(0.2)(rng, streams, LONGEST_DELAY)
    crowd = Crowd([mean_of(detector.reference)] * streams)
    alarmed = np.stack([crowd.step(features) for features in crowd.features(values)])
    states = [detector.observe(detector.start(), row) for row in values]
    return [int(row.argmax()) + 1 for row in alarmed.T] == [state.alarm.at if state.alarm else 0 for state in states]


def conformal_run_length(n: int, scale: Scale) -> float:
    """The plain conformal way: Shiryaev–Roberts on p-values against a frozen sample of `n`, ties broken at random, bets linear and quadratic in p."""
    rng = np.random.default_rng(3)
    reference = np.sort(rng.random((scale.crowd, n)), axis=1)
    stakes = np.array([0.25, 0.5, 0.75, 0.95])
    capital, alarms = np.zeros((scale.crowd, 16)), 0
    for _ in range(scale.false_alarm_steps // BLOCK):
        x = rng.random((scale.crowd, BLOCK))
        rank = np.stack([np.searchsorted(*pair) for pair in zip(reference, x, strict=True)])
        p = (n - rank + rng.random(rank.shape)) / (n + 1)
        linear, quadratic = 2 * p - 1, (3 * (2 * p - 1) ** 2 - 1) / 2
        bets = np.concatenate([1 + sign * stakes * shape[:, :, np.newaxis] for shape in (linear, quadratic) for sign in (1, -1)], axis=2)
        for place in range(BLOCK):
            capital = advance(capital, bets[:, place])
            alarmed = capital.mean(axis=1) >= RUN_LENGTH
            alarms += int(alarmed.sum())
            capital[alarmed] = 0
    return scale.crowd * scale.false_alarm_steps / max(alarms, 1)


def usual_refusals(rate: float) -> Usual:
    """Of a rate."""
    return Usual(edges=np.array([0.5]), shares=np.array([1 - rate, rate]), chart=lambda values: shewhart_alarms(values, rate, (rate * (1 - rate)) ** 0.5))


def usual_latency() -> Usual:
    """Of latencies: ten bins of equal mass; the chart is of the mean."""
    sample = latency()(np.random.default_rng(4), 1, 1_000_000)
    edges = np.quantile(sample, np.arange(1, 10) / 10)
    return Usual(edges=edges, shares=np.full(10, 0.1), chart=lambda values: shewhart_alarms(values, float(sample.mean()), float(sample.std())))


def usual_calls() -> Usual:
    """Of calls: a chart for each share, an alarm when one of them has one."""

    def chart(values: Floats) -> NDArray[np.bool_]:
        alarms = [shewhart_alarms((values == place).astype(np.float64), share, (share * (1 - share)) ** 0.5) for place, share in enumerate(MIX)]
        return np.asarray(np.any(alarms, axis=0))

    return Usual(edges=np.array([place + 0.5 for place in range(len(MIX) - 1)]), shares=np.array(MIX), chart=chart)


def median(values: Floats) -> float:
    """Median that may be infinite."""
    return float(np.sort(values)[len(values) // 2])


def shown(value: float) -> str:
    """A number of observations, or never."""
    return f"{value:7,.0f}" if np.isfinite(value) else "  never"


def usual_run_lengths(usual: Usual, draw: Draw, scale: Scale) -> dict[str, float]:
    """Observations for each false alarm of the rules in use."""
    values = draw(np.random.default_rng(5), scale.crowd, LONGEST_DELAY * 4)
    psi, chart = psi_alarms(values, usual.edges, usual.shares).sum(), usual.chart(values).sum()
    return {"psi": values.size / psi if psi else float("inf"), "shewhart": values.size / chart if chart else float("inf")}


def usual_delays(usual: Usual, after: Draw, scale: Scale) -> dict[str, float]:
    """Median delays of the rules in use."""
    rng = np.random.default_rng(6)
    values = after(rng, scale.crowd, LONGEST_DELAY * 2)
    psi = windows_until_alarm(psi_alarms(values, usual.edges, usual.shares), PSI_WINDOW, rng)
    return {"psi": median(psi), "shewhart": median(windows_until_alarm(usual.chart(values), SHEWHART_GROUP, rng))}


def false_alarms(scale: Scale) -> dict[str, dict[str, float]]:
    """Run lengths without a change, each beside what is stated."""
    skewed, even, bursts = beta(0.5, 9.5), beta(15, 5), in_bursts(0.1, 0.3)
    rows: list[tuple[str, Watch, Draw, bool]] = [
        ("refusals .1, known reference", of_rate(0.1), yes_or_no(0.1), True),
        ("refusals .01, known reference", of_rate(0.01), yes_or_no(0.01), True),
        ("refusals .5, known reference", of_rate(0.5), yes_or_no(0.5), True),
        ("skewed scores, known reference", of_known(0.05, 0.05 * 0.95 / 11), skewed, True),
        ("scores around .75, known reference", of_known(0.75, 0.75 * 0.25 / 21), even, True),
        ("refusals .1, references of 1,000", of_rate(0.1, 1000), yes_or_no(0.1), True),
        ("refusals .1, references of 10,000", of_rate(0.1, 10_000), yes_or_no(0.1), True),
        ("skewed scores, references of 10,000", of_scores(skewed, 10_000), skewed, True),
        ("latency, references of 1,000", of_latency(1000), latency(), True),
        ("latency, references of 10,000", of_latency(10_000), latency(), True),
        ("tool mix, references of 10,000", of_calls(10_000), calls(MIX), True),
        ("refusals .1 in bursts (correlation .3)", of_rate(0.1), bursts, False),
        ("  means of 50 of them", of_known(0.1, 0.1 * 0.9 / 50 * 1.3 / 0.7), in_groups(bursts, 50), False),
        ("mean of 1,000 taken for the truth", of_sample_taken_for_true(0.1, 1000), yes_or_no(0.1), False),
    ]
    figures = {}
    for name, watch, draw, promised in rows:
        measured = average_run_length(watch, draw, scale)
        figures[name] = {"run_length": measured, "stated": RUN_LENGTH, "promised": float(promised)}
        print(f"{name:42} {measured:9,.0f} observations a false alarm  ({f'target ≥ {RUN_LENGTH:,}' if promised else 'outside of the promise'})", flush=True)
    for n in (1000, 10_000):
        measured = conformal_run_length(n, scale)
        figures[f"plain conformal, frozen {n}"] = {"run_length": measured, "stated": RUN_LENGTH, "promised": 0.0}
        print(f"{f'plain conformal, frozen sample of {n:,}':42} {measured:9,.0f} observations a false alarm  (states {RUN_LENGTH:,}; not ours)", flush=True)
    for name, usual, draw in (
        ("refusals .1", usual_refusals(0.1), yes_or_no(0.1)),
        ("latency", usual_latency(), latency()),
        ("tool mix", usual_calls(), calls(MIX)),
    ):
        figures[f"rules in use, {name}"] = theirs = usual_run_lengths(usual, draw, scale)
        print(f"{f'rules in use, {name}':42} PSI {shown(theirs['psi'])}, Shewhart {shown(theirs['shewhart'])}  (state none)", flush=True)
    return figures


def true_alarms(scale: Scale) -> dict[str, dict[str, float]]:
    """Delays after a change."""
    refusals, waits, tools = usual_refusals(0.1), usual_latency(), usual_calls()
    sends, unseen = (0.35, 0.3, 0.15, 0.19, 0.01, 0.0), (0.49, 0.29, 0.15, 0.04, 0.01, 0.02)
    rows: list[tuple[str, Watch, Draw, Draw, Usual, float | None]] = [
        ("refusals .10 → .20, known reference", of_rate(0.1), yes_or_no(0.1), yes_or_no(0.2), refusals, TARGET_REFUSAL_DELAY),
        ("  only rises watched", of_rate(0.1, side=Side.RISE), yes_or_no(0.1), yes_or_no(0.2), refusals, None),
        ("  12 even stakes each way, not ours", of_even_stakes(0.1), yes_or_no(0.1), yes_or_no(0.2), refusals, None),
        ("  references of 100,000", of_rate(0.1, 100_000), yes_or_no(0.1), yes_or_no(0.2), refusals, None),
        ("  references of 10,000", of_rate(0.1, 10_000), yes_or_no(0.1), yes_or_no(0.2), refusals, None),
        ("refusals .10 → .15, references of 100,000", of_rate(0.1, 100_000), yes_or_no(0.1), yes_or_no(0.15), refusals, None),
        ("refusals .10 → .05, references of 100,000", of_rate(0.1, 100_000), yes_or_no(0.1), yes_or_no(0.05), refusals, None),
        ("latency × 1.3, references of 10,000", of_latency(10_000), latency(), latency(1.3), waits, None),
        ("latency × 5 for 5 %, references of 10,000", of_latency(10_000), latency(), latency(slow=0.05), waits, None),
        ("tools: 15 points to another, of 10,000", of_calls(10_000), calls(MIX), calls(sends), tools, None),
        ("tools: 2 % to a new one, of 10,000", of_calls(10_000), calls(MIX), calls(unseen), tools, None),
    ]
    figures = {}
    for name, watch, before, after, usual, target in rows:
        found = delays(watch, before, after, scale)
        theirs = usual_delays(usual, after, scale)
        figures[name.strip()] = {
            "median": median(found),
            "found": float(np.isfinite(found).mean()),
            **theirs,
            **({"target": target} if target else {}),
        }
        print(
            f"{name:42} found after {shown(median(found))} ({np.isfinite(found).mean():4.0%} in time)"
            f"   PSI {shown(theirs['psi'])}   Shewhart {shown(theirs['shewhart'])}{f'   (target ≤ {target:.0f})' if target else ''}",
            flush=True,
        )
    return figures


def plain(figures: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """As JSON has it: never is null."""
    return {
        part: {name: {key: value if np.isfinite(value) else None for key, value in row.items()} for name, row in rows.items()} for part, rows in figures.items()
    }


def main() -> int:
    """Measure, and print each figure beside its target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter simulations; under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    scale = Scale(crowd=100, false_alarm_steps=3 * RUN_LENGTH) if options.quick else Scale(crowd=400, false_alarm_steps=6 * RUN_LENGTH)
    same = same_as_observed()
    print(f"{'simulated side by side, as observed':42} {'the same alarms' if same else 'OTHER ALARMS'}  (target: the same)", flush=True)
    figures = {
        "as observed": {"the same": {"alarms": float(same)}},
        "without a change": false_alarms(scale),
        "after a change": true_alarms(Scale(crowd=scale.crowd * 4, false_alarm_steps=0)),
    }
    if options.json:
        options.json.write_text(json.dumps(plain(figures), indent=1, allow_nan=False), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
