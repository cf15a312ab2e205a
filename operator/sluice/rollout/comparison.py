"""What a canary run compares, what it is moved with, and how far one look found it. No step is taken here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice.cluster.client import ApiClient
from sluice.rollout.actuation import Judge
from sluice.rollout.remote_scorers import Addresses, JudgePods, Sidecar, Token
from sluice.rollout.scoring_job import CasesImage, ScorerImage
from sluice.rollout.statistics_client import StatisticsClient
from sluice.rollout.workloads import Workload
from sluice.scoring.tally import Merged
from sluice.scoring.wire import Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the two models are reached, `http://10.0.0.7:8080`."""

    candidate: str
    baseline: str
    judges: Addresses = ()
    """Where those are asked that compare answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What scorers are told: the file, and its digest, which each of them repeats with what it says."""

    text: str
    digest: str
    expected: Callable[[int], Expected]
    """What a shard may say. Raises `StatisticsRefused` for a shard that the plan does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a run compares, resolved: everything that stands in its spec by name or digest."""

    candidate: str
    baseline: str
    workload: Workload
    own_baseline: bool
    """Whether the baseline is a Pod of the run; else one of those that serve."""
    port: int
    token: Token | None
    cases: str | CasesImage
    """The text, or where the nodes find it."""
    shards: int
    seconds: int
    """How long scoring may take."""
    plan: Callable[[Endpoints], Plan]
    containers: Sequence[Sidecar] = ()
    judges: Sequence[JudgePods] = ()
    recorded: bool = False
    """Whether `cases` are pairs that were recorded: no Pod of a model is made, and nobody is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run is moved with."""

    client: ApiClient
    judge: Judge
    """Decides, on what is known now, whether a Pod may take part."""
    scorers: StatisticsClient
    image: ScorerImage
    start_seconds: float
    """How long Pods may take until they are ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Nothing is scored now: what has to come first."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """Pods are made, or on their way."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Scorers are at work, since `started_at`."""

    merged: Merged
    started_at: datetime
    plan: str
    """What the scorers were told."""
    node: str
    """Where the candidate runs."""
    waits: str = ""
    """What keeps a scorer from starting, for people; empty when nothing does."""


Progress = Waiting | Starting | Scoring
