"""One release: its verdict now, its status, and what follows for its workloads.

Level-triggered: it looks at what is there, whatever brought it here. A second look at the same things writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from sluice.api.base import Condition
from sluice.api.names import FOR_USERS, RELEASE_LABEL
from sluice.api.release import Phase
from sluice.api.revocation import OnRevoked
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import ApiError
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import DEPLOYMENTS, PODS, RELEASES
from sluice.controller.canary_start import start_runs
from sluice.controller.conditions import MESSAGE_LIMIT, Moment, cut
from sluice.controller.drill_start import start_drills
from sluice.controller.observe import Metrics
from sluice.controller.records import Recorder
from sluice.controller.release_status import HEALTHY, headline, health, status_of, unreadable_status
from sluice.controller.weights_lists import keep_lists
from sluice.controller.work import Item
from sluice.controller.writing import write_status
from sluice.decision.gate import Action, Decision, decide_pod
from sluice.decision.model import Allowance, Release, Verdict
from sluice.decision.pod import PodView
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.rollout.actuation import Actuation, Announcer, Settled
from sluice.rollout.owners import releases_of, settle_deployment
from sluice.rollout.pods import settle_pod
from sluice.rollout.stand_in import Outcome, Withdrawal, settle_stand_ins

CHANGED_SECONDS: Final = 0.5
"""When to look again at a workload that changed while it was judged."""

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Looks at releases and their workloads.

    `resync_seconds`: how often a workload that waits is looked at without any reason. `look_at` queues further objects. `discovered`:
    what came of looking for evidence.
    """

    client: ApiClient
    feed: WorldFeed
    events: EventRecorder
    announcer: Announcer
    metrics: Metrics
    max_age_seconds: float
    resync_seconds: float
    look_at: Callable[[Iterable[Item]], None]
    records: Recorder
    discovered: Callable[[Key, Release, Moment], Condition | None] = lambda _key, _release, _moment: None
    _alone: set[Key] = field(default_factory=set, init=False)
    """Releases that have no stand-in. Who leads makes them all, so they need not be listed at every look."""

    async def release(self, key: Key) -> float | None:
        """Look at one release; return in how many seconds to look again, if time alone may change something. Raises `ApiError`."""
        now = datetime.now(UTC)
        await self._status(key)
        await self._lists(key)
        waits = [await self._workloads(key)]
        verdict = self.feed.world.verdict(key, now=now)
        if verdict is not None and not self.feed.blind(max_age_seconds=self.max_age_seconds):
            await start_runs(self.client, key, verdict)
            waits.append(await start_drills(self.client, key, verdict, self.feed.world, self.metrics.drills, now=now))
            waits.append(await self._stand_ins(key, verdict))
            # Last: what is not recorded yet keeps nothing from what has to be done now.
            if isinstance(release := self.feed.world.releases.get(key), Release):
                await self.records.keep(key, release, verdict, self.feed.world, now=now)
        if verdict is None:
            self.metrics.forget(key)
        else:
            self.metrics.judged(key, verdict.phase, [result.outcome for result in verdict.results])
            self.metrics.revoked(key, runs=verdict.revoked and await self._runs(key))
            self.metrics.canaries.inconclusive(key, waits=any(result.reason is Reason.CanaryInconclusive for result in verdict.open))
            if verdict.changes_at is not None:
                # A moment later: at the very end of a sign-off it is still there.
                waits.append(max(0.0, (verdict.changes_at - now).total_seconds()) + 0.1)
        return min((seconds for seconds in waits if seconds is not None), default=None)

    async def unnamed_pod(self, key: Key) -> float | None:
        """Look at a held Pod that names no release (strict namespaces hold every Pod). Raises `ApiError`."""
        found = await self.client.list(PODS, key.namespace, field_selector=f"metadata.name={key.name}")
        return self._again([await settle_pod(_typed(pod, PODS.api_version, PODS.kind), self._actuation()) for pod in found])

    async def _lists(self, key: Key) -> None:
        """Give Pods what they check their weights against."""
        stored, release = self.feed.store(RELEASES.kind).get(key), self.feed.world.releases.get(key)
        if stored is not None and isinstance(release, Release):
            await keep_lists(self.client, _typed(stored, RELEASES.api_version, RELEASES.kind), release, self.feed.world)

    async def _stand_ins(self, key: Key, verdict: Verdict) -> float | None:
        """Let the baseline stand in for a release that was withdrawn while it serves users."""
        stored, release = self.feed.store(RELEASES.kind).get(key), self.feed.world.releases.get(key)
        if stored is None or not isinstance(release, Release):
            return None
        baseline = release.spec.change.baseline

        def may_serve(name: str) -> bool:
            other = self.feed.world.verdict(Key(namespace=key.namespace, name=name), now=datetime.now(UTC))
            return other is not None and other.allows is Allowance.SERVE

        revoked = verdict.on_revoked if verdict.revoked else OnRevoked.ALERT
        withdrawn = verdict.rolled_back or verdict.rejected or verdict.withdrawn or revoked is not OnRevoked.ALERT
        if withdrawn:
            self._alone.discard(key)
        elif key in self._alone:
            return None
        withdrawal = Withdrawal(
            release=stored, baseline=baseline.name if baseline else None, may_serve=may_serve, withdrawn=withdrawn,
            regardless=verdict.withdrawn or revoked is not OnRevoked.ALERT, at_once=revoked is OnRevoked.SCALE_TO_ZERO,
        )  # fmt: skip
        outcome = await settle_stand_ins(withdrawal, self.client)
        self.metrics.stood_in(key, problem=outcome.problem)
        if outcome == Outcome() and not withdrawn:
            self._alone.add(key)
        if outcome.problem:
            words = Decision(
                action=Action.DENY, reason=Reason.BaselineNotEntitled, message=outcome.problem, remedy="take it out of service, or name a release that may"
            )
            await self.announcer.tell(stored, words, action="StandIn")
        if outcome.unserved:
            reason = verdict.open[0].reason if verdict.revoked else Reason.Withdrawn
            words = Decision(action=Action.DENY, reason=reason, message=outcome.unserved, remedy=verdict.open[0].remedy)
            await self.announcer.tell(stored, words, action="Withdraw")
        return outcome.again_seconds

    async def _runs(self, key: Key) -> bool:
        pods = await self.client.list(PODS, key.namespace, label_selector=f"{RELEASE_LABEL}={key.name}")
        return any((pod.get("status") or {}).get("phase") == "Running" for pod in pods)

    async def _status(self, key: Key) -> None:
        stored = self.feed.store(RELEASES.kind).get(key)
        release = self.feed.world.releases.get(key)
        if stored is None or release is None:
            return

        # What is told is what was written: by then, another look could come to something else, which would be told twice.
        judged: Verdict | None = None

        def status_at(moment: Moment) -> Object | None:
            nonlocal judged
            judged, known = None, self.feed.world.releases.get(key)
            if not isinstance(known, Release):
                return None if known is None else unreadable_status(str(known), moment)
            verdict = self.feed.world.verdict(key, now=moment.now)
            if verdict is None or (verdict.unverified and (stored.get("status") or {}).get("phase")):
                # In a moment its evidence is verified, and it is looked at again: what stands there would change twice and mean nothing.
                return None
            judged = verdict
            return status_of(known, verdict, moment, discovered=self.discovered(key, known, moment))

        before = await write_status(self.client, RELEASES, stored, status_at)
        if before is not None:
            await self._tell_health(stored, before, judged)
            # By time alone, too, a sign-off comes to count or not: its own status says so.
            self.look_at(Item(kind, at) for kind, at in self.feed.world.decisions_on(key))
            await self._tell_transition(key, stored, before, judged)

    async def _tell_health(self, stored: Object, before: Object, verdict: Verdict | None) -> None:
        """Tell once what a monitor found, and once that all is well again."""
        if verdict is None or not verdict.watched:
            return
        was = next((item for item in before.get("conditions") or () if item["type"] == HEALTHY), None)
        well, reason, note = health(verdict)
        if well and was is not None and was["status"] != "True":
            await self.events.record(stored, type_="Normal", reason=str(reason), action=HEALTHY, note=note)
        if not well and (was is None or was["message"] != cut(note, MESSAGE_LIMIT)):
            await self.events.record(stored, type_="Warning", reason=str(reason), action="Alarm", note=note)

    async def _tell_transition(self, key: Key, stored: Object, before: Object, verdict: Verdict | None) -> None:
        release = self.feed.world.releases.get(key)
        if isinstance(release, Release) and verdict is not None:
            phase, (reason, note) = verdict.phase, headline(release, verdict)
        else:
            phase, reason, note = Phase.PENDING, Reason.ReleaseInvalid, f"it cannot be read: {release}"
        was = before.get("phase")
        if was == phase:
            return
        log.info("release %s: %s → %s (%s)", key, was or "(new)", phase, reason)
        self.metrics.moved(phase)
        type_: Literal["Normal", "Warning"] = (
            "Warning" if phase in {Phase.REJECTED, Phase.WITHDRAWN, Phase.ROLLED_BACK, Phase.REVOKED} or reason is Reason.ReleaseInvalid else "Normal"
        )
        await self.events.record(stored, type_=type_, reason=str(reason), action=str(phase), note=note)

    async def _workloads(self, key: Key) -> float | None:
        tools = self._actuation()
        settled: list[Settled] = []
        failures: list[ApiError] = []
        for pod in await self.client.list(PODS, key.namespace, label_selector=f"{RELEASE_LABEL}={key.name},{FOR_USERS}"):
            # Those of a canary run or a drill are let go by it, and get no traffic of users.
            try:
                settled.append(await settle_pod(_typed(pod, PODS.api_version, PODS.kind), tools))
            except ApiError as error:
                failures.append(error)
        for deployment in await self.client.list(DEPLOYMENTS, key.namespace):
            if key.name not in releases_of(deployment):
                continue
            try:
                settled.append(await settle_deployment(_typed(deployment, DEPLOYMENTS.api_version, DEPLOYMENTS.kind), tools))
            except ApiError as error:
                failures.append(error)
        if failures:
            # One workload that cannot be changed keeps no other from it; the queue comes back with growing pauses.
            raise failures[0]
        return self._again(settled)

    def _again(self, settled: Iterable[Settled]) -> float | None:
        states = set(settled)
        return CHANGED_SECONDS if Settled.CHANGED in states else self.resync_seconds if Settled.WAITING in states else None

    def _actuation(self) -> Actuation:
        return Actuation(client=self.client, judge=self._judge, announcer=self.announcer)

    def _judge(self, pod: PodView, namespace: str) -> Decision:
        world, now = self.feed.world, datetime.now(UTC)
        blind = self.feed.blind(max_age_seconds=self.max_age_seconds)
        known = world.namespaces.get(namespace)
        if blind or known is None:
            why = blind or f"it does not know namespace {namespace} yet"
            return Decision(action=Action.HOLD, reason=Reason.NotReady, message=f"the controller cannot decide now: {why}", remedy="wait a minute")
        subject = None if pod.release is None else world.subject(namespace, pod.release, now=now)
        return decide_pod(pod, known, subject, serves=world.serves((image.digest for image in pod.images if image.digest), namespace))


def _typed(obj: Object, api_version: str, kind: str) -> Object:
    """Items of a list come without these two."""
    return {**obj, "apiVersion": api_version, "kind": kind}
