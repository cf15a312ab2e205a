"""One `ReleaseMonitor`: its reference frozen, its source asked when that is due, what it finds written once. What follows is decided elsewhere (`decision`).

Everything that matters is in the object. A reading is taken in by the one write that also says until when the source was heard, under the resource version
that was read before: a process that is killed between the query and the write has taken in nothing, and the next one asks about the same time again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from sluice.api.base import parse_time
from sluice.api.durations import parse_duration
from sluice.api.monitor import MonitorFinding, MonitorSpec
from sluice.api.names import FOR_USERS, RELEASE_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.prometheus import PrometheusError
from sluice.cluster.resource import MONITORS, PODS
from sluice.controller.conditions import Moment
from sluice.controller.monitor_metrics import MonitorMetrics
from sluice.controller.monitor_sources import Pending, Sources
from sluice.controller.monitor_start import freeze_reference, start_monitors
from sluice.controller.monitor_status import (
    Heard,
    Hearing,
    findings_of,
    heard_before,
    is_over,
    new_findings,
    rests,
    status_of_monitor,
    stored_state,
    unusable_status,
)
from sluice.controller.writing import write_status
from sluice.decision.model import Allowance, Release
from sluice.decision.monitors import Wanted, wanted_for
from sluice.decision.records import Key
from sluice.rollout.owned import delete, found, typed
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.monitor import Finding, Monitor, MonitorState, due, judge, rested, start, take
from sluice.scoring.watched import freeze, monitor_of

BLIND_SECONDS: Final = 5.0
"""How soon to look again when the controller does not know enough to decide."""
PENDING_SECONDS: Final = 1.0
"""How soon to look again at what is under way."""
AGAIN_SECONDS: Final = 15.0
"""How soon a source that did not answer is asked again, if its period is not shorter."""

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One look at a monitor that watches or learns."""

    state: MonitorState | None
    heard: Heard
    findings: tuple[Finding, ...] = ()
    again_seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class MonitorReconciler:
    """Looks at monitors. `sources` is None where the installation names no Prometheus."""

    client: ApiClient
    feed: WorldFeed
    events: EventRecorder
    metrics: MonitorMetrics
    prometheus: Sources | None
    probes: Sources
    max_age_seconds: float
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _patience: dict[Key, datetime] = field(default_factory=dict)
    """When a source that had nothing to say is asked again. Not to be remembered for longer than this process lives."""

    async def of_release(self, key: Key) -> list[Key]:
        """Make the monitors of a release once it may serve; return all that it has, to be looked at. Raises `ApiError`."""
        world = self.feed.world
        release, verdict = world.releases.get(key), world.verdict(key, now=self.clock())
        there = [watched.name for watched in world.monitors.of(key)]
        if isinstance(release, Release) and verdict is not None and verdict.allows is Allowance.SERVE and not self._blind():
            await start_monitors(self.client, key, wanted_for(world.case(release), verdict.risks), existing=there)
        return [Key(namespace=key.namespace, name=name) for name in there]

    async def settle(self, key: Key) -> float | None:
        """Look at one monitor; return in how many seconds to look again. Raises `ApiError`."""
        there = await found(self.client, MONITORS.path(key.namespace, key.name))
        if there is None or "deletionTimestamp" in there["metadata"]:
            self._forget(key)
            return None
        monitor = typed(there, MONITORS)
        try:
            spec, findings = MonitorSpec.model_validate(monitor["spec"]), findings_of(monitor.get("status") or {})
        except ValidationError:
            # Whoever decides about the release says so, and holds it.
            log.warning("monitor %s: cannot be read", key)
            return None
        if self._blind():
            return BLIND_SECONDS
        if not findings and self._is_replaced(key, spec):
            await delete(self.client, MONITORS, monitor)
            log.info("monitor %s: deleted, another one took its place or its release is gone, and it had found nothing", key)
            self._forget(key)
            return None
        self.metrics.stands(key, monitor.get("status") or {})
        if is_over(findings):
            return None
        try:
            seen = await self._seen(monitor, spec)
        except DriftRefused as refused:
            # Arithmetic that the API server cannot check, or a state that an older Sluice wrote: people have to look.
            message = str(refused)
            self.metrics.unread("Unusable")
            await self._tell(monitor, lambda moment: unusable_status(message, moment))
            return None
        await self._tell(monitor, lambda moment: status_of_monitor(seen.state, seen.findings, seen.heard, moment))
        return seen.again_seconds

    def _blind(self) -> bool:
        return bool(self.feed.blind(max_age_seconds=self.max_age_seconds))

    def _forget(self, key: Key) -> None:
        self._patience.pop(key, None)
        self.metrics.forget(key)

    def _is_replaced(self, key: Key, spec: MonitorSpec) -> bool:
        """Tell whether nobody can come back to it: a policy that is gone may be applied again, and then a reference that was learnt is worth having."""
        release = self.feed.world.releases.get(Key(namespace=key.namespace, name=spec.release.name))
        if release is None:
            return True
        if not isinstance(release, Release):
            return False
        if release.digest != spec.release_digest:
            return True
        wanted = self._wanted(release)
        same = [one for one in wanted if (one.spec.policy, one.spec.monitor.name) == (spec.policy, spec.monitor.name)]
        return bool(same) and all(one.name != key.name for one in same)

    async def _seen(self, monitor: Object, spec: MonitorSpec) -> _Seen:
        key, status, now = Key.of(monitor), monitor.get("status") or {}, self.clock()
        release = self.feed.world.releases.get(Key(namespace=key.namespace, name=spec.release.name))
        state = stored_state(status)
        if not isinstance(release, Release) or not self._is_asked_for(key, release):
            return _Seen(state=state, heard=Heard(reason=Hearing.NOT_ASKED_FOR, message="no policy that can be used asks for it"))
        source = self.probes if spec.monitor.probe else self.prometheus
        if source is None:
            message = "the controller knows no Prometheus: start it with --prometheus-url (chart value prometheus.url)"
            state = state or (start(monitor_of(spec.monitor, spec.reference), now=now) if spec.reference else None)
            return self._waiting(key, spec, state, Heard(reason=Hearing.UNREADABLE, message=message), now)
        serves = await self._serves(key.namespace, release, now)
        resting = Heard(reason=Hearing.NOT_SERVING, message="no Pod of the release runs, so nothing is expected; it goes on when one does")
        if spec.reference is None:
            # What Prometheus has of the baseline is there, whoever serves now.
            return await self._learnt(monitor, spec, release, source, now) if serves or spec.monitor.prometheus else _Seen(state=None, heard=resting)
        watching = monitor_of(spec.monitor, spec.reference)
        if not serves:
            return _Seen(state=state or start(watching, now=now), heard=resting)
        if state is None or rests(status):
            state = start(watching, now=now) if state is None else rested(state, now=now)
            return _Seen(
                state=state, heard=Heard(reason=Hearing.STARTED, message="the release serves; it is asked when its period is over"), again_seconds=0.05
            )
        return await self._read(monitor, spec, watching, state, source, now)

    def _is_asked_for(self, key: Key, release: Release) -> bool:
        return any(one.name == key.name for one in self._wanted(release))

    def _wanted(self, release: Release) -> tuple[Wanted, ...]:
        world = self.feed.world
        verdict = world.verdict(Key(namespace=release.namespace, name=release.name), now=self.clock())
        return wanted_for(world.case(release), verdict.risks if verdict is not None else ())

    async def _serves(self, namespace: str, release: Release, now: datetime) -> bool:
        verdict = self.feed.world.verdict(Key(namespace=namespace, name=release.name), now=now)
        if verdict is None or verdict.allows is not Allowance.SERVE:
            return False
        # Ready or not: users are sent to it now and then, and one that is hardly ever ready has to be heard, too.
        pods = await self.client.list(PODS, namespace, label_selector=f"{RELEASE_LABEL}={release.name},{FOR_USERS}")
        return any("deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") == "Running" for pod in pods)

    async def _learnt(self, monitor: Object, spec: MonitorSpec, release: Release, sources: Sources, now: datetime) -> _Seen:
        """Freeze what is normal, if enough was seen of it."""
        key, asked = Key.of(monitor), spec.monitor.reference.baseline
        if asked is None:
            raise DriftRefused("its reference is missing, and the policy gave one: delete the ReleaseMonitor, it is made again")
        if (left := self._left(key, now)) > 0:
            return _Seen(state=None, heard=heard_before(monitor), again_seconds=left)
        # A probe can be made of who serves only.
        baseline, made = release.spec.change.baseline if spec.monitor.prometheus else None, parse_time(monitor["metadata"]["creationTimestamp"])
        subject, begin = (baseline.name, made - parse_duration(asked.window)) if baseline else (release.name, made)
        try:
            reference = await sources.learn(monitor, spec, release=subject, start=begin, end=max(now, begin + timedelta(seconds=1)))
        except Pending:
            return _Seen(state=None, heard=heard_before(monitor), again_seconds=PENDING_SECONDS)
        except (PrometheusError, DriftRefused) as error:
            return self._waiting(key, spec, None, self._unread(key, error), now)
        seen = reference.n if reference else 0
        if reference is None or seen < asked.at_least:
            remedy = "if it never comes to that, let the policy ask for fewer, look further back, or give a reference" if baseline else "it goes on"
            message = (
                f"{subject} showed {seen:,} observations since {begin:%Y-%m-%d %H:%M:%S} UTC, and {asked.at_least:,} are needed to say what is normal; {remedy}"
            )
            return self._waiting(key, spec, None, Heard(reason=Hearing.LEARNING, message=message), now)
        await freeze_reference(self.client, monitor, freeze(reference))
        log.info("monitor %s: what is normal is frozen, from %d observations of %s", key, seen, subject)
        message = f"what is normal is what {subject} showed in {seen:,} observations"
        return _Seen(state=None, heard=Heard(reason=Hearing.STARTED, message=message), again_seconds=0.05)

    async def _read(self, monitor: Object, spec: MonitorSpec, watching: Monitor, state: MonitorState, sources: Sources, now: datetime) -> _Seen:  # noqa: PLR0917 - all of one look
        """Take in what there is, if it is time."""
        key = Key.of(monitor)
        left = max((due(watching, state) - now).total_seconds(), self._left(key, now))
        if left > 0:
            return _Seen(state=state, heard=heard_before(monitor), findings=judge(watching, state, now=now), again_seconds=left)
        try:
            reading = await sources.reading(monitor, watching, state, now=now)
            after = state if reading is None else take(watching, state, reading, now=now)
        except Pending:
            return _Seen(state=state, heard=heard_before(monitor), findings=judge(watching, state, now=now), again_seconds=PENDING_SECONDS)
        except (PrometheusError, DriftRefused) as error:
            return self._waiting(key, spec, state, self._unread(key, error), now)
        if after is state:
            return self._waiting(key, spec, state, Heard(reason=Hearing.NOTHING_OBSERVED, message="the source answers, and has nothing about the release"), now)
        left = max(0.05, (due(watching, after) - now).total_seconds())
        heard = Heard(reason=Hearing.HEARD, message="the source answers, with readings that can be used")
        return _Seen(state=after, heard=heard, findings=judge(watching, after, now=now), again_seconds=left)

    def _waiting(self, key: Key, spec: MonitorSpec, state: MonitorState | None, heard: Heard, now: datetime) -> _Seen:
        """Nothing was heard: it is asked again soon, and is silent after a while."""
        period = max(1.0, parse_duration(spec.monitor.period).total_seconds())
        # A Job for each look would be too much where users are only slow to ask.
        seconds = period if spec.monitor.probe and heard.reason in {Hearing.LEARNING, Hearing.NOTHING_OBSERVED} else min(AGAIN_SECONDS, period)
        self._patience[key] = now + timedelta(seconds=seconds)
        findings = judge(monitor_of(spec.monitor, spec.reference), state, now=now) if state and spec.reference else ()
        return _Seen(state=state, heard=heard, findings=findings, again_seconds=seconds)

    def _left(self, key: Key, now: datetime) -> float:
        return (self._patience.get(key, now) - now).total_seconds()

    def _unread(self, key: Key, error: PrometheusError | DriftRefused) -> Heard:
        cause = str(error.cause) if isinstance(error, PrometheusError) else "Refused"
        self.metrics.unread(cause)
        log.info("monitor %s: not read (%s): %s", key, cause, error)
        return Heard(reason=Hearing.UNREADABLE, message=str(error))

    async def _tell(self, monitor: Object, status_at_look: Callable[[Moment], Object]) -> None:
        """Write what was seen, unless the state is another one by now than the one that it was seen from."""
        key, base = Key.of(monitor), (monitor.get("status") or {}).get("state")
        told: dict[str, Object] = {}

        def status_at(moment: Moment) -> Object | None:
            if moment.previous.get("state") != base:
                return None
            told["status"] = status_at_look(moment)
            return told["status"]

        before = await write_status(self.client, MONITORS, monitor, status_at)
        if before is None:
            return
        self.metrics.stands(key, told["status"])
        await self._announce(monitor, new_findings(before, told["status"]))

    async def _announce(self, monitor: Object, findings: Sequence[MonitorFinding]) -> None:
        for finding in findings:
            log.warning("monitor %s: %s, which asks for %s: %s", Key.of(monitor), finding.cause, finding.ask, finding.message)
            await self.events.record(monitor, type_="Warning", reason=str(finding.cause), action=str(finding.ask), note=finding.message)
