"""From what a run pins by name and digest to what can be carried out: the suite, its cases, the plan of the scorers.

What does not match its digest any more ends the run: nothing is scored that the run does not name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Final

from sluice.api.canary import BaselinePods, CanaryDecision, CanarySpec
from sluice.api.durations import parse_duration
from sluice.api.recording import ConfigMapFile, Recording
from sluice.api.scoring import SuiteSpec
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.resource import CONFIG_MAPS
from sluice.decision.model import Allowance, Release
from sluice.decision.records import Key
from sluice.decision.run_reasons import RunReason
from sluice.decision.runs import Suite
from sluice.decision.world import World
from sluice.rollout.comparison import Comparison, Endpoints, Plan, Waiting
from sluice.rollout.endings import Ending
from sluice.rollout.owned import found
from sluice.rollout.remote_scorers import JudgePods, Sidecar, Token
from sluice.rollout.scoring_job import CasesImage
from sluice.rollout.workloads import Workload
from sluice.scoring.cases import Cases, CasesRefused, StatedCases, read_cases
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.judgement import Terms
from sluice.scoring.plan import container_ports, plan_run, read_plan, shards_asked
from sluice.scoring.replay.exchange import rules_of
from sluice.scoring.replay.pairs import PINNED, PairsRefused, read_pairs
from sluice.scoring.suite import prepare

_KEPT: Final = 16
"""Suites whose cases are kept read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run compares, and what decides."""

    comparison: Comparison
    terms: Terms
    least: timedelta
    """How long cases are asked at least before it is promoted."""


def end_token(run: Object) -> str:
    """What a scorer of this run wants to see before it ends, or shows answers.

    Whoever can read the ConfigMap of the plan has it, too: a scorer that was ended is started again, and who reads ConfigMaps there can ask the models as well.
    """
    return hashlib.sha256(f"{run['metadata']['uid']} {run['spec']['seed']}".encode()).hexdigest()


async def resolve(run: Object, spec: CanarySpec, world: World, client: ApiClient) -> Inputs | Waiting:
    """Look up what a run pins. Raises `Ending` when it is not there any more, and `ApiError`."""
    namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
    suite = world.canaries.suites.get(Key(namespace=namespace, name=spec.suite.name))
    if not isinstance(suite, Suite) or suite.digest != spec.suite_digest:
        raise Ending(
            CanaryDecision.INCONCLUSIVE, RunReason.SuiteChanged, f"ScoringSuite {spec.suite.name} is not the one of digest {spec.suite_digest} any more"
        )
    cases = await (cases_of(suite.spec, namespace, client) if spec.recording is None else recording_of(spec.recording, namespace, client))
    if isinstance(cases, Waiting):
        return cases
    judges = _judges(run, suite.spec, world)
    if isinstance(judges, Waiting):
        return judges
    try:
        known = _known(cases, spec)
        shards = shards_asked(spec.shards, planned=spec.planned, cases=known.count)
        plan = partial(
            plan_run,
            suite.spec,
            known,
            run=f"{namespace}/{name}",
            seed=spec.seed,
            planned=spec.planned,
            minimum=spec.minimum,
            shards=shards,
            end_token=end_token(run),
            recorded=spec.recording is not None,
        )
        # What is asked and when it is looked at does not depend on where the models are.
        anywhere = plan(candidate="http://candidate", baseline="http://baseline", scorer_endpoints={judge.metric: ["http://judge:80"] for judge in judges})
        if isinstance(cases, str):
            _check(anywhere.as_json(), cases)
    except (CasesRefused, PairsRefused, SuiteRefused) as error:
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.CasesInvalid, f"ScoringSuite {suite.name}: {error}") from None
    margins = {metric: Decimal((spec.margins or {}).get(metric, spec.margin)) for metric in anywhere.compared}

    def at(endpoints: Endpoints) -> Plan:
        made = plan(candidate=endpoints.candidate, baseline=endpoints.baseline, scorer_endpoints=dict(endpoints.judges))
        return Plan(text=made.as_json().decode(), digest=made.digest, expected=made.expected)

    auth = suite.spec.protocol.auth
    return Inputs(
        comparison=Comparison(
            candidate=spec.release.name,
            baseline=spec.baseline.name,
            workload=Workload(kind=spec.workload.kind, name=spec.workload.name),
            own_baseline=spec.baseline_pods is BaselinePods.OWN,
            port=suite.spec.protocol.port,
            token=None if auth is None else Token(secret=auth.secret_ref.name, key=auth.secret_ref.key),
            cases=cases,
            shards=shards,
            seconds=int(parse_duration(spec.max_duration).total_seconds()),
            plan=at,
            containers=_containers(suite.spec),
            judges=judges,
            recorded=spec.recording is not None,
        ),
        terms=Terms(
            margins=margins,
            false_rollback_rate=Decimal(spec.false_rollback_rate),
            false_promotion_rate=Decimal(spec.false_promotion_rate),
            planned=anywhere.planned,
            minimum=anywhere.minimum,
            sliced=bool(anywhere.slices),
            waits=spec.min_duration is not None,
        ),
        least=parse_duration(spec.min_duration or ""),
    )


def _containers(suite: SuiteSpec) -> tuple[Sidecar, ...]:
    ports = container_ports(suite.scorers)
    return tuple(
        Sidecar(metric=scorer.name, image=wanted.image, args=wanted.args, memory=wanted.memory, port=ports[scorer.name])
        for scorer in suite.scorers
        if (wanted := scorer.container) is not None
    )


def _judges(run: Object, suite: SuiteSpec, world: World) -> tuple[JudgePods, ...] | Waiting:
    """Find the releases that judge: those of the digest that the suite names, and only as long as they may serve."""
    found = []
    for scorer in suite.scorers:
        judge = scorer.judge
        if judge is None:
            continue
        key = Key(namespace=run["metadata"]["namespace"], name=judge.release)
        release, verdict = world.releases.get(key), world.verdict(key, now=datetime.now(UTC))
        why = ""
        if not isinstance(release, Release) or verdict is None:
            why = f"there is no ModelRelease {judge.release}, which judges {scorer.name}"
        elif release.digest != judge.release_digest:
            why = f"{judge.release} has release digest {release.digest}; scorer {scorer.name} names {judge.release_digest}"
        elif verdict.allows is not Allowance.SERVE:
            why = f"{judge.release}, which judges {scorer.name}, may not serve"
        # A judge whose evidence is being verified, because a trust root changed, is one again in seconds.
        settled = verdict is None or not verdict.unverified
        if why and settled and (run.get("status") or {}).get("startedAt"):
            raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.JudgeNotServing, why)
        if why:
            return Waiting(reason=RunReason.JudgeNotServing, message=why)
        token = None if judge.auth is None else Token(secret=judge.auth.secret_ref.name, key=judge.auth.secret_ref.key)
        found.append(JudgePods(metric=scorer.name, release=judge.release, port=judge.port, token=token))
    return tuple(found)


async def cases_of(suite: SuiteSpec, namespace: str, client: ApiClient) -> str | CasesImage | Waiting:
    """Give the text, checked against its digest; or the image, which the nodes fetch and the scorers check: a suite must not make us call a registry."""
    cases = suite.cases
    if cases.inline is not None:
        return cases.inline
    if cases.oci is not None:
        return CasesImage(reference=cases.oci.reference, path=cases.oci.path, stated=StatedCases(digest=cases.oci.digest, count=cases.oci.count))
    if cases.config_map is None:
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.CasesInvalid, "spec.cases of the suite names no cases that could be asked")
    return await _text(cases.config_map, cases.config_map.digest, namespace, client, by="the suite names")


async def recording_of(recording: Recording, namespace: str, client: ApiClient) -> str | CasesImage | Waiting:
    """Give recorded pairs in the same way."""
    if recording.oci is not None:
        stated = StatedCases(digest=recording.digest, count=recording.count)
        return CasesImage(reference=recording.oci.reference, path=recording.oci.path, stated=stated)
    if recording.config_map is None:
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.RunInvalid, "spec.recording: set exactly one of configMap, oci")
    return await _text(recording.config_map, recording.digest, namespace, client, by="whoever signed the recording names")


async def _text(place: ConfigMapFile, digest: str, namespace: str, client: ApiClient, *, by: str) -> str | Waiting:
    there = await found(client, CONFIG_MAPS.path(namespace, place.name))
    text = ((there or {}).get("data") or {}).get(place.key)
    if not isinstance(text, str):
        return Waiting(reason=RunReason.CasesNotFound, message=f"there is no ConfigMap {place.name} with text under {place.key}")
    own = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    if own != digest:
        return Waiting(reason=RunReason.CasesNotFound, message=f"{place.key} of ConfigMap {place.name} has digest {own}; {by} {digest}")
    return text


def _known(cases: str | CasesImage, spec: CanarySpec) -> Cases | StatedCases:
    """What is known of them before scorers have read them. What a recording holds depends on the suite, so whoever signed it says."""
    if spec.recording is not None:
        return StatedCases(digest=spec.recording.digest, count=spec.recording.count)
    return _read(cases) if isinstance(cases, str) else cases.stated


@lru_cache(maxsize=_KEPT)
def _read(text: str) -> Cases:
    return read_cases(text.encode())


@lru_cache(maxsize=_KEPT)
def _check(plan: bytes, text: str) -> None:
    """Find what a scorer would refuse, before there is one. Raises SuiteRefused; what was found right is kept by the plan's bytes."""
    planned = read_plan(plan)
    prepare(planned, read_pairs(text.encode(), rules_of(planned.protocol, planned.scorers), bounds=PINNED).cases if planned.recorded else _read(text))
