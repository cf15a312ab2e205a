"""Probe suites as a source of monitors: one Job at a time for each monitor, made when a reading is due, read when it has ended, and deleted.

Everything follows from the monitor and what is there: a Job is named by the moment that its reading was due at, so a process that takes over finds it. It is
deleted before its reading is written: whoever dies in between asks again, and counts nothing twice. Answers of users are fetched the same way: those since
the last reading, until the moment that is noted on the Job, where the next one begins.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from sluice.api.base import parse_time
from sluice.api.durations import parse_duration
from sluice.api.monitor import Detects, LiveAnswers, MonitorSpec
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import CONFIG_MAPS, JOBS, NETWORK_POLICIES, PODS
from sluice.controller.canary_inputs import cases_of
from sluice.controller.monitor_sources import Pending
from sluice.decision.records import Key
from sluice.decision.runs import Suite
from sluice.decision.world import World
from sluice.rollout.canary_pods import is_owned_by
from sluice.rollout.endings import Ending
from sluice.rollout.owned import delete, found
from sluice.rollout.probe_job import (
    PLAN_ANNOTATION,
    POD_ANNOTATION,
    UNTIL_ANNOTATION,
    Live,
    probe_job,
    probe_map,
    probe_name,
    probe_policy,
    said_at_end,
)
from sluice.rollout.remote_scorers import Token
from sluice.rollout.scoring_job import ScorerImage
from sluice.rollout.serving import serving_pods, url_of
from sluice.scoring.bounds import PROBED_MOST
from sluice.scoring.cases import CasesRefused, read_cases
from sluice.scoring.drift.histogram import Histogram, freeze_numbers
from sluice.scoring.drift.mean import MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.monitor import Monitor, MonitorState, Reading, Values, due, heard_until, scaled
from sluice.scoring.plan import Plan, plan_run
from sluice.scoring.probe import read_message
from sluice.scoring.watched import scale_of

_LEAST_SECONDS: Final = 120
"""What a probe may take, if its period is not longer."""

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What one probe came to. `until` ends the time whose answers it has; None where it asked."""

    values: tuple[float | None, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSource:
    """Asks releases the cases of suites. `image` is what probes run; None: none was named."""

    client: ApiClient
    world: Callable[[], World]
    image: ScorerImage | None

    async def reading(self, monitor: Object, watching: Monitor, state: MonitorState, *, now: datetime) -> Reading | None:
        """See `Sources`."""
        spec = MonitorSpec.model_validate(monitor["spec"])
        said = await self._probed(monitor, spec, probe_name(monitor, due=due(watching, state)), since=heard_until(state), now=now)
        return Values(at=said.until or now, values=said.values) if said.values else None

    async def learn(self, monitor: Object, spec: MonitorSpec, *, release: str, start: datetime, end: datetime) -> MeanReference | Histogram | None:  # noqa: ARG002 - the protocol
        """What the first probe came to: of `release`, which is the one that is watched, now; or what its users got since `start`. See `Sources`."""
        definition = spec.monitor
        values = (await self._probed(monitor, spec, probe_name(monitor, due=start), since=start, now=end)).values
        if not values:
            return None
        if definition.missing is None and None in values:
            raise DriftRefused(f"{values.count(None)} of {len(values)} cases have no value; say in `missing` what such a one counts as, the worst")
        known = [float(definition.missing or 0) if value is None else value for value in values]
        return MeanReference.of(scaled(known, scale_of(definition))) if definition.detects is Detects.MEAN else freeze_numbers(known)

    async def _probed(self, monitor: Object, spec: MonitorSpec, name: str, *, since: datetime, now: datetime) -> _Said:
        """Bring one probe forward; give what it came to. Raises Pending while it is under way, DriftRefused when it failed."""
        namespace = monitor["metadata"]["namespace"]
        job = await found(self.client, JOBS.path(namespace, name))
        if job is None:
            await self._begin(monitor, spec, name, since=since, now=now)
            raise Pending
        if not is_owned_by(job, monitor):
            raise DriftRefused(f"there is a Job {name} already, which is not of this monitor: delete it")
        ended = {item["type"] for item in (job.get("status") or {}).get("conditions") or () if item.get("status") == "True"}
        if "deletionTimestamp" in job["metadata"]:
            raise Pending
        listed = await self.client.list(PODS, namespace, label_selector=f"batch.kubernetes.io/job-name={name}")
        pods = [pod for pod in listed if is_owned_by(pod, job)]
        # The Job says so, too, a second or two later: drift is not waited for.
        succeeded = any((pod.get("status") or {}).get("phase") == "Succeeded" for pod in pods)
        if not succeeded and not ended & {"Complete", "Failed"}:
            # Its maker may have died before the rest was there.
            await self._equip(monitor, spec, job)
            raise Pending
        failed = not succeeded and "Complete" not in ended
        said = said_at_end(pods, failed=failed)
        serves = [pod["metadata"]["name"] for pod in await serving_pods(self.client, namespace, spec.release.name)]
        await delete(self.client, JOBS, job)
        notes = job["metadata"].get("annotations") or {}
        if failed:
            raise DriftRefused(f"the probe failed: {said or 'it did not end in time, or its Pod was lost'}"[:1000])
        if notes.get(POD_ANNOTATION) not in serves:
            raise DriftRefused("the Pod that was asked serves no more: what it did not answer says nothing about the release")
        try:
            live = _live(spec) is not None
            found_in = read_message(said.encode(), plan=str(notes.get(PLAN_ANNOTATION)), most=PROBED_MOST, least=0 if live else 1)
            return _Said(values=found_in.observations, until=parse_time(str(notes.get(UNTIL_ANNOTATION))) if live else None)
        except ValueError as refused:
            # ProbeRefused, or a Job that does not say until when.
            raise DriftRefused(str(refused)) from None

    async def _begin(self, monitor: Object, spec: MonitorSpec, name: str, *, since: datetime, now: datetime) -> None:
        namespace = monitor["metadata"]["namespace"]
        if self.image is None:
            raise DriftRefused("start the controller with --scorer-image REPOSITORY@sha256:…: probes run it")
        pods = await serving_pods(self.client, namespace, spec.release.name)
        if not pods:
            raise DriftRefused("no Pod of the release serves")
        # Each in its turn, as the name has it: a single Pod may be the one whose files were swapped.
        pod = pods[int(name.rpartition("-")[2], 16) % len(pods)]
        suite = self._suite(namespace, spec)
        plan, _ = await self._plan(monitor, spec, suite, pod)
        auth, live = suite.spec.protocol.auth, _live(spec)
        job = probe_job(
            monitor, name, image=self.image.reference, metric=_metric(spec), plan=plan.digest, pod=pod["metadata"]["name"],
            seconds=max(_LEAST_SECONDS, int(parse_duration(spec.monitor.period).total_seconds())),
            token=None if auth is None else Token(secret=auth.secret_ref.name, key=auth.secret_ref.key),
            live=None if live is None else Live(url=url_of(pod["status"]["podIP"], live.port) + live.path, since=since, until=now),
        )  # fmt: skip
        try:
            made = await self.client.create(JOBS, job, namespace)
        except Conflict:
            # A request of ours, or of the process before us, got through though nobody heard of it; or an older one is on its way out.
            raise Pending from None
        await self._equip(monitor, spec, made)
        log.info("monitor %s: probe %s asks Pod %s", Key.of(monitor), name, pod["metadata"]["name"])

    async def _equip(self, monitor: Object, spec: MonitorSpec, job: Object) -> None:
        """Make what the Pod of the Job waits for, if it is not there: first whom it may reach, then what it asks."""
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        if await found(self.client, CONFIG_MAPS.path(namespace, name)) is not None:
            return
        suite, asked = self._suite(namespace, spec), (job["metadata"].get("annotations") or {}).get(POD_ANNOTATION)
        pods = [pod for pod in await serving_pods(self.client, namespace, spec.release.name) if pod["metadata"]["name"] == asked]
        if not pods:
            # It ends by its deadline, or goes with the monitor.
            await delete(self.client, JOBS, job)
            raise DriftRefused("the Pod that was to be asked serves no more")
        plan, text = await self._plan(monitor, spec, suite, pods[0])
        wanted = {
            NETWORK_POLICIES: probe_policy(job, release=spec.release.name, port=live.port if (live := _live(spec)) else suite.spec.protocol.port),
            CONFIG_MAPS: probe_map(job, plan=plan.as_json().decode(), cases=text),
        }
        for resource, obj in wanted.items():
            with suppress(Conflict):  # it was made before, though nobody heard of it
                await self.client.create(resource, obj, namespace)

    def _suite(self, namespace: str, spec: MonitorSpec) -> Suite:
        wanted = spec.monitor.probe
        if wanted is None:
            raise DriftRefused("this monitor has no probe")
        suite = self.world().canaries.suites.get(Key(namespace=namespace, name=wanted.suite.name))
        if not isinstance(suite, Suite):
            raise DriftRefused(f"there is no ScoringSuite {wanted.suite.name} that can be read in namespace {namespace}")
        if wanted.suite.digest is not None and wanted.suite.digest != suite.digest:
            raise DriftRefused(f"ScoringSuite {suite.name} has digest {suite.digest}; the monitor names {wanted.suite.digest}")
        return suite

    async def _plan(self, monitor: Object, spec: MonitorSpec, suite: Suite, pod: Object) -> tuple[Plan, str]:
        """What is asked of this Pod: the same cases in the same order each time."""
        namespace, metric = monitor["metadata"]["namespace"], _metric(spec)
        scorers = [scorer for scorer in suite.spec.scorers if scorer.name == metric]
        if not scorers:
            raise DriftRefused(f"ScoringSuite {suite.name} has no scorer {metric!r}")
        try:
            text = await cases_of(suite.spec, namespace, self.client)
        except Ending as end:
            raise DriftRefused(str(end)) from None
        if not isinstance(text, str):
            raise DriftRefused(getattr(text, "message", "the cases are in an image; a probe takes those that are inline or in a ConfigMap"))
        url = url_of(pod["status"]["podIP"], suite.spec.protocol.port)
        digits = hashlib.sha256(monitor["metadata"]["uid"].encode()).hexdigest()
        try:
            plan = plan_run(
                suite.spec.model_copy(update={"scorers": scorers, "slices": []}), read_cases(text.encode()), run=str(Key.of(monitor)),
                candidate=url, baseline=url, seed=int(digits[:13], 16), planned=PROBED_MOST, minimum=None, shards=1, end_token=digits,
            )  # fmt: skip
        except (CasesRefused, SuiteRefused, ValidationError) as error:
            raise DriftRefused(f"ScoringSuite {suite.name}: {str(error)[:500]}") from None
        return plan, text


def _live(spec: MonitorSpec) -> LiveAnswers | None:
    return spec.monitor.probe.live if spec.monitor.probe else None


def _metric(spec: MonitorSpec) -> str:
    return spec.monitor.probe.metric if spec.monitor.probe else ""
