"""Suites and canary runs as decisions see them, and the terms that a policy asks a run to keep.

Of a run's status only its decision is read. The API server lets nobody but the controller write it (`sluice.gate`), and a Promote must be signed, too
(`sluice.decision.proof`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from sluice.api.canary import DEFAULT_ERROR_RATE, BaselinePods, CanaryDecision
from sluice.api.digests import suite_digest
from sluice.api.durations import parse_duration
from sluice.api.exposure import OnShareTooSmall
from sluice.api.scorers import ScorerType
from sluice.decision.exposure import Stage, never_larger, stages_of
from sluice.scoring.cases import CasesRefused, read_cases
from sluice.scoring.interpret import SuiteRefused, limits_of, metrics_of, protocol_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.api.canary import CanarySpec
    from sluice.api.requirement import Requirement
    from sluice.api.scoring import SuiteSpec

REPORTED = frozenset({ScorerType.TOKENS, ScorerType.COST, ScorerType.FORBIDDEN_TOOLS, ScorerType.EXFILTRATION})
"""Scorers that compare nothing: sums are reported, and a gate only ever rolls back."""


@dataclass(frozen=True)
class Suite:
    """A `ScoringSuite` that can be read."""

    name: str
    spec: SuiteSpec

    @cached_property
    def digest(self) -> str:
        """What policies pin, and runs name."""
        return suite_digest(self.spec)

    @property
    def counts_pairs(self) -> bool:
        """Whether nobody is asked: a recording of the candidate is counted, which signed evidence names."""
        return self.spec.cases.recorded is not None

    @cached_property
    def problem(self) -> str:
        """Why nothing can be scored on it; empty when it can."""
        try:
            protocol_of(self.spec.protocol)
            limits_of(self.spec.protocol)
            metrics_of(self.spec.scorers)
            if self.spec.cases.inline is not None:
                read_cases(self.spec.cases.inline.encode())
        except CasesRefused as error:
            return f"spec.cases.inline: {error}"
        except SuiteRefused as error:
            return f"spec: {error}"
        return "" if self.metrics else "spec.scorers: none of them compares candidate and baseline"

    @cached_property
    def metrics(self) -> frozenset[str]:
        """Names of the scorers that compare candidate and baseline."""
        return frozenset(scorer.name for scorer in self.spec.scorers if scorer.type not in REPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A `CanaryRun`, with its decision so far and the code of why."""

    name: str
    spec: CanarySpec
    decision: CanaryDecision = CanaryDecision.PENDING
    reason: str = ""
    unproven: str = ""
    """Why its Promote counts for nothing; empty when it did not say so, or proves it. Its decision is Pending then."""
    exposing: bool = False
    """Whether the comparison is over, and users meet a share of the candidate, or are about to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRun:
    """A `CanaryRun` that cannot be read. It is not ignored: it may be the one that rolled the release back."""

    name: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The numbers of a comparison. Two are equal when they mean the same, however they are written (`0.02`, `0.020`)."""

    margin: Decimal
    margins: Mapping[str, Decimal]
    false_rollback_rate: Decimal
    false_promotion_rate: Decimal
    planned: int
    minimum: int | None
    min_duration: str | None
    max_duration: str
    baseline_pods: BaselinePods
    exposure: tuple[Stage, ...] = ()
    skips: bool = False
    """Whether a stage is left out for which one Pod is too large a share; without stages there is nothing to leave out."""

    @classmethod
    def of_requirement(cls, requirement: Requirement) -> Terms:
        """Read what a policy asks, defaults filled in.

        Raises ValueError: the requirement lacks what type Canary needs, which the API server refuses.
        """
        if requirement.margin is None or requirement.planned is None or requirement.max_duration is None:
            raise ValueError("type Canary needs suite, margin, planned and maxDuration")
        return cls(
            margin=Decimal(requirement.margin),
            margins=_decimals(requirement.margins),
            false_rollback_rate=Decimal(requirement.false_rollback_rate or DEFAULT_ERROR_RATE),
            false_promotion_rate=Decimal(requirement.false_promotion_rate or DEFAULT_ERROR_RATE),
            planned=requirement.planned,
            minimum=requirement.minimum,
            min_duration=requirement.min_duration,
            max_duration=requirement.max_duration,
            baseline_pods=requirement.baseline_pods or BaselinePods.OWN,
            exposure=stages_of(requirement.exposure),
            skips=requirement.exposure is not None and requirement.on_share_too_small is OnShareTooSmall.SKIP,
        )

    @classmethod
    def of_run(cls, spec: CanarySpec) -> Terms:
        """Read what a run keeps."""
        return cls(
            margin=Decimal(spec.margin),
            margins=_decimals(spec.margins),
            false_rollback_rate=Decimal(spec.false_rollback_rate),
            false_promotion_rate=Decimal(spec.false_promotion_rate),
            planned=spec.planned,
            minimum=spec.minimum,
            min_duration=spec.min_duration,
            max_duration=spec.max_duration,
            baseline_pods=spec.baseline_pods,
            exposure=stages_of(spec.exposure),
            skips=spec.exposure is not None and spec.on_share_too_small is OnShareTooSmall.SKIP,
        )

    def no_looser_than(self, asked: Terms) -> bool:
        """Tell whether a promotion on these terms is one on the terms `asked`, too.

        What can make a promotion easier counts: every margin, the rate of false promotions, how many cases are planned and needed, how long they are asked
        at least, and how soon how many users meet the candidate.
        """
        metrics = {*self.margins, *asked.margins}
        return (
            self.margin <= asked.margin
            and all(self._margin_of(metric) <= asked._margin_of(metric) for metric in metrics)
            and self.false_promotion_rate <= asked.false_promotion_rate
            and self.planned >= asked.planned
            and (self.minimum or 0) >= (asked.minimum or 0)
            and parse_duration(self.min_duration or "") >= parse_duration(asked.min_duration or "")
            and never_larger(self.exposure, asked.exposure)
            and (asked.skips or not asked.exposure or not self.skips)
        )

    def _margin_of(self, metric: str) -> Decimal:
        return self.margins.get(metric, self.margin)


def _decimals(margins: Mapping[str, str] | None) -> dict[str, Decimal]:
    return {metric: Decimal(margin) for metric, margin in (margins or {}).items()}
