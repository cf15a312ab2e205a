"""The plan of a run: all that a scorer is told, in one file that the controller mounts.

Together with the cases, whose digest it names, it fixes what is asked, in which order, and how answers are scored; what is left to chance is what the models
say. Its own digest goes with every statistic, so that numbers of another plan are never added to these.

A token for the model servers is not in it: plans lie in ConfigMaps.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from sluice.api.base import Label, Line, Model, Sha256, Uri
from sluice.api.canary import Metric
from sluice.api.scorers import Scorer
from sluice.api.scoring import Protocol, SuiteSpec
from sluice.api.strict_json import JsonRefused, canonical, parse
from sluice.scoring.cases import CASES, Cases, StatedCases
from sluice.scoring.compare import Metrics
from sluice.scoring.interpret import metrics_of
from sluice.scoring.scorers.latency import samples_needed
from sluice.scoring.scorers.settings import GateType, RemoteType, SumType
from sluice.scoring.statistics.looks import FIRST, looks
from sluice.scoring.tally import KNOWN, LOST, NOISE, SWAPPED
from sluice.scoring.wire import Expected, StatisticsRefused, stretches

PLAN_BYTES: Final = 1 << 20
FIRST_CONTAINER_PORT: Final = 8100
REFUSED: Final = 65
"""Exit code of a scorer that cannot follow its plan or use its cases, as `sysexits` has it: nothing is mended by starting it again."""
NOISE_UNITS: Final = 60
RECORDED_CANDIDATE: Final = "recorded:candidate"
RECORDED_BASELINE: Final = "recorded:baseline"
"""Where answers are that nobody asks for any more."""
ALL_UNITS: Final = 1_000_000
"""More than anybody has: all there are."""
_UNITS_PER_SHARD: Final = 500
_SHARDS: Final = 8
SPARE: Final = 1.25
"""A baseline that leaves every fifth question open still fixes the limits of latencies."""


def shards_for(units: int) -> int:
    """Say how many scorers share so many units: a few hundred each are a minute or two of work."""
    return min(_SHARDS, 1 + units // _UNITS_PER_SHARD)


def shards_asked(pinned: int, *, planned: int, cases: int) -> int:
    """Say how many of the shards that a run pins there are: planned are as many units as policy asks, asked no more than there are cases."""
    return min(pinned, shards_for(min(planned, cases)))


class PlanRefused(ValueError):
    """The plan cannot be followed; the message names the member."""


class Plan(Model):
    """What a scorer does."""

    run: Line
    """Namespace and name of the CanaryRun, for people who read logs."""
    candidate: Uri
    """Where the candidate answers: `http://10.0.0.7:8080`."""
    baseline: Uri
    """Where the baseline answers."""
    cases_digest: Sha256
    """SHA-256 of the file of cases."""
    cases_count: Annotated[int, Field(ge=1, le=CASES)] | None = None
    """How many cases are in it, where the suite says so; absent where they were counted."""
    recorded: Literal[True] | None = None
    """The file holds recorded pairs: they are counted, and nobody is asked. Absent: it holds cases, which both are asked."""
    seed: Annotated[int, Field(ge=0, le=2**53)]
    """Fixes the random order of units before anything is asked."""
    planned: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many units are scored: never more than there are cases."""
    minimum: Annotated[int, Field(ge=1, le=1_000_000)] = FIRST
    """How many units are scored before the first look."""
    shards: Annotated[int, Field(ge=1, le=64)]
    """How many scorers share the units."""
    protocol: Protocol
    """How cases are sent."""
    scorers: Annotated[list[Scorer], Field(min_length=1, max_length=32)]
    """What is measured in the answers."""
    slices: Annotated[list[Label], Field(max_length=16)]
    """Dimensions of the cases that make slices."""
    repeats: Annotated[int, Field(ge=1, le=32)] = 1
    """How often each case is asked."""
    noise_units: Annotated[int, Field(ge=0, le=10_000)] = NOISE_UNITS
    """For how many of its first units each shard asks the baseline a second time: the noise floor, and what fixes the limits of latencies."""
    scorer_endpoints: Annotated[dict[Metric, Annotated[list[Uri], Field(min_length=1, max_length=8)]], Field(max_length=32)] = Field(default_factory=dict)
    """Where scorers answer that somebody else runs: judges, and containers beside the scorer."""
    end_token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
    """Whoever shows it may end the scorer."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.minimum > self.planned:
            raise ValueError(f"minimum is {self.minimum}, above the {self.planned} units that are planned")
        if self.recorded and self.shards > 1:
            raise ValueError(
                f"shards is {self.shards}: one scorer counts recorded pairs, as at a desk, where the first answers of all fix the limits of latencies"
            )
        names = [scorer.name for scorer in self.scorers]
        if len(set(names)) < len(names):
            raise ValueError("scorers: two have the same name; a metric is known by it")
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of units at which the engine looks."""
        return looks(self.planned, minimum=self.minimum)

    def stretches(self, shard: int) -> tuple[int, ...]:
        """How many units of a shard each look has."""
        return stretches(self.looks, shard=shard, shards=self.shards)

    def expected(self, shard: int) -> Expected:
        """What a shard may say. Raises StatisticsRefused for a shard that the plan does not have."""
        if not 0 <= shard < self.shards:
            raise StatisticsRefused(f"shard {shard} is none of the {self.shards} of this plan")
        return Expected(
            plan=self.digest,
            shard=shard,
            stretches=self.stretches(shard),
            metrics=(
                *self.compared,
                *(NOISE + name for name in self.compared),
                *(LOST + scorer.name for scorer in self.scorers if scorer.type in {*RemoteType}),
                *(prefix + scorer.name for prefix in (SWAPPED, KNOWN) for scorer in self.scorers if scorer.judge is not None),
            ),
            gates=self.gates,
        )

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of the metrics that candidate and baseline are compared by."""
        return tuple(scorer.name for scorer in self.scorers if scorer.type not in {*GateType, *SumType})

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the hard gates."""
        return tuple(scorer.name for scorer in self.scorers if scorer.type in {*GateType})

    def ends(self, token: str) -> bool:
        """Whether this token may end the scorer."""
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.end_token.encode())

    def as_json(self) -> bytes:
        """The plan as it is mounted: canonical JSON."""
        return canonical(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON."""
        return "sha256:" + hashlib.sha256(self.as_json()).hexdigest()


def read_plan(raw: bytes) -> Plan:
    """Read a plan, strictly. Raises PlanRefused."""
    try:
        return Plan.model_validate(parse(raw, limit=PLAN_BYTES))
    except JsonRefused as error:
        raise PlanRefused(f"the plan {error}") from None
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "the plan"
        raise PlanRefused(f"{where}: {wrong['msg']}") from None


def plan_run(
    suite: SuiteSpec,
    cases: Cases | StatedCases,
    *,
    run: str,
    candidate: str,
    baseline: str,
    seed: int,
    planned: int,
    minimum: int | None,
    shards: int,
    end_token: str,
    scorer_endpoints: Mapping[str, Sequence[str]] | None = None,
    recorded: bool = False,
) -> Plan:
    """Make the plan of a run: `planned` units, or as many as there are cases when they are fewer. `recorded`: they are the questions of recorded pairs.

    Raises SuiteRefused for a scorer that cannot be made, pydantic.ValidationError for an address or token that is none; `suite.prepare` checks the rest.
    """
    units = min(planned, cases.count)
    return Plan(
        run=run,
        candidate=candidate,
        baseline=baseline,
        cases_digest=cases.digest,
        cases_count=cases.count if isinstance(cases, StatedCases) else None,
        recorded=True if recorded else None,
        seed=seed,
        planned=units,
        minimum=min(minimum or FIRST, units),
        shards=shards,
        protocol=suite.protocol,
        scorers=suite.scorers,
        slices=suite.slices,
        repeats=suite.repeats,
        noise_units=max(NOISE_UNITS, math.ceil(SPARE * answers_needed(metrics_of(suite.scorers)) / suite.repeats)),
        scorer_endpoints={
            **{name: [f"http://127.0.0.1:{port}"] for name, port in container_ports(suite.scorers).items()},
            **{name: list(addresses) for name, addresses in (scorer_endpoints or {}).items()},
        },
        end_token=end_token,
    )


def container_ports(scorers: Sequence[Scorer]) -> dict[str, int]:
    """On which port of the scorer Pod each container listens, by metric; it is told by `PORT` in its environment."""
    return {scorer.name: FIRST_CONTAINER_PORT + index for index, scorer in enumerate(scorers) if scorer.container is not None}


def answers_needed(metrics: Metrics) -> int:
    """How many answers of the baseline fix the limits of all latencies that the suite leaves open; 0 when it leaves none."""
    return max(
        (samples_needed(quantile=timing.quantile, confidence=timing.confidence) for timing in metrics.timings.values() if timing.limit_seconds is None),
        default=0,
    )
