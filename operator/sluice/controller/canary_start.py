"""From what a verdict asks to be scored to the `CanaryRun` that pins it.

A comparison is made once: a run with the same inputs is never made a second time, whatever it came to, or a release could be scored until chance promotes
it. Which runs there are is read from the API server at that moment, never from a watch, which may not have seen our own last one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from sluice.api.base import NameRef
from sluice.api.canary import CanarySpec, Workload
from sluice.api.exposure import OnShareTooSmall, Stage
from sluice.api.recording import Recording
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import CANARY_RUNS
from sluice.decision.canary import Due
from sluice.decision.model import Allowance, Verdict
from sluice.decision.records import Key
from sluice.decision.runs import Terms
from sluice.rollout.canary_pods import run_name
from sluice.rollout.workloads import KINDS, waiting_for
from sluice.rollout.workloads import Workload as Waits
from sluice.scoring.plan import shards_for

_SEED_DIGITS: Final = 13
"""Hexadecimal digits of a seed: 52 bits, which every JSON reader keeps."""

log: Final = logging.getLogger(__name__)


async def start_runs(client: ApiClient, release: Key, verdict: Verdict) -> None:
    """Make the runs that a release waits for, once a workload waits for it. Raises `ApiError`."""
    due = [result.due for result in verdict.open if result.due is not None and result.run is None] if verdict.allows is Allowance.CANARY else []
    if not due:
        return
    workload = await waiting_for(client, release.namespace, release.name)
    if workload is None:
        return
    existing = [item for item in await client.list(CANARY_RUNS, release.namespace) if item["spec"]["release"]["name"] == release.name]
    for wanted in due:
        if any(pins(item, wanted) for item in existing):
            continue
        number = 1 + len(existing)
        taken = {item["metadata"]["name"] for item in existing}
        while run_name(release.name, number) in taken:
            number += 1
        run = run_for(wanted, release.namespace, workload=workload, number=number)
        try:
            existing.append(await client.create(CANARY_RUNS, run, release.namespace))
        except Conflict:
            # It was made just now, by a request of which nobody heard: the watch brings it.
            continue
        log.info("canary run %s/%s: made for %s", release.namespace, run["metadata"]["name"], release.name)


def run_for(due: Due, namespace: str, *, workload: Waits, number: int) -> Object:
    """Make a run: everything that its result depends on, by value or digest."""
    terms = due.terms
    # Nobody can know the order of a recording before it is signed.
    recorded = [due.recording.digest] if due.recording else []
    seed = hashlib.sha256(" ".join([due.release_digest, due.suite_digest, str(number), *recorded]).encode()).hexdigest()[:_SEED_DIGITS]
    spec = CanarySpec(
        release=NameRef(name=due.release),
        release_digest=due.release_digest,
        baseline=NameRef(name=due.baseline),
        baseline_digest=due.baseline_digest,
        suite=NameRef(name=due.suite),
        suite_digest=due.suite_digest,
        recording=due.recording,
        policy=due.policy,
        requirement=due.requirement,
        workload=Workload(api_version=KINDS[workload.kind].api_version, kind=workload.kind, name=workload.name),
        seed=int(seed, 16),
        shards=1 if due.recording else shards_for(terms.planned),
        planned=terms.planned,
        minimum=terms.minimum,
        margin=f"{terms.margin:f}",
        margins={name: f"{margin:f}" for name, margin in terms.margins.items()} or None,
        false_rollback_rate=f"{terms.false_rollback_rate:f}",
        false_promotion_rate=f"{terms.false_promotion_rate:f}",
        min_duration=terms.min_duration,
        max_duration=terms.max_duration,
        baseline_pods=terms.baseline_pods,
        exposure=[Stage(share=f"{stage.share:f}", for_=stage.written) for stage in terms.exposure] or None,
        on_share_too_small=OnShareTooSmall.SKIP if terms.skips else None,
    )
    metadata = {"namespace": namespace, "name": run_name(due.release, number)}
    body = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"apiVersion": CANARY_RUNS.api_version, "kind": CANARY_RUNS.kind, "metadata": metadata, "spec": body}


def pins(run: Object, due: Due) -> bool:
    """Tell whether a run is about just this; one that cannot be read might be."""
    try:
        spec = CanarySpec.model_validate(run.get("spec"))
    except ValidationError:
        return True
    pinned = (spec.release_digest, spec.baseline.name, spec.baseline_digest, spec.suite.name, spec.suite_digest, _file(spec.recording))
    asked = (due.release_digest, due.baseline, due.baseline_digest, due.suite, due.suite_digest, _file(due.recording))
    return pinned == asked and Terms.of_run(spec) == due.terms


def _file(recording: Recording | None) -> str | None:
    """A recording that is signed again, or kept elsewhere, is the same one."""
    return recording.digest if recording else None


def asked_for(run: Object, dues: Iterable[Due]) -> bool:
    """Tell whether somebody still asks for a run."""
    return any(pins(run, due) for due in dues)
