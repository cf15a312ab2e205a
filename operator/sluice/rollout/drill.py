"""One drill, brought one step further by looking at what is there: the way back to the baseline, measured. Where that is, `drill_site` knows.

What is tried is what `stand_in` does when it matters. The release is in traffic; the baseline comes up from its kept template beside it; when that is in
traffic, too, the release goes out; and then it comes back, so that all is as it was. Times are those at which the endpoints of the drill's own Service change,
as the API server tells them; what a kube-proxy or a mesh adds on each node is not in them.

Level-triggered: every object has a name that follows from the drill. A step whose beginning this process has not seen is begun again, so that no time is
measured across a restart; what earlier steps have measured stands in the status.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from sluice.api.drill import DrillPhase
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, Invalid
from sluice.cluster.resource import ENDPOINT_SLICES, PODS, SERVICES
from sluice.decision.drill_reasons import DrillReason
from sluice.decision.gate import Action
from sluice.decision.pod import PodMalformedError, view_pod
from sluice.decision.reasons import Reason
from sluice.rollout.actuation import Judge
from sluice.rollout.canary_state import PodState, Stand, state_of
from sluice.rollout.drill_objects import Role, Site, drill_pod, pod_name
from sluice.rollout.drill_site import make_site, site_of
from sluice.rollout.endings import Ending
from sluice.rollout.owned import delete, ensure, owned, typed
from sluice.rollout.pods import take_gate_off
from sluice.rollout.routing import Router

FOLLOW_SECONDS: Final = 60.0
"""How long the endpoints of the Service may take to follow what was asked."""

log: Final = logging.getLogger(__name__)


class DrillFailed(Exception):
    """The drill ends here, and proves nothing."""

    def __init__(self, reason: DrillReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Templates(Protocol):
    """Where Pods come from: the templates that a Deployment has and keeps."""

    async def __call__(self, role: Role) -> Object:
        """Find a template. Raises `DrillFailed` and `ApiError`."""


class Lists(Protocol):
    """What the Pods of a drill mount that is ours: the signed lists of weights that are checked where they are loaded."""

    async def __call__(self, role: Role, site: Site) -> None:
        """See to it that they lie where the Pod is. Raises `ApiError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a drill is moved with."""

    client: ApiClient
    judge: Judge
    router: Router
    templates: Templates
    lists: Lists
    start_seconds: float
    """How long a Pod may take until it is ready."""
    clock: Callable[[], float]
    """Seconds since any moment."""


@dataclass(slots=True, kw_only=True)
class Stopwatch:
    """What this process knows of the step that a drill is at, and may forget."""

    phase: DrillPhase | None = None
    entered: float = 0.0
    asked: float | None = None
    """When what is measured was asked for."""

    def at(self, phase: DrillPhase, now: float) -> None:
        """Note the step."""
        if self.phase is not phase:
            self.phase, self.entered, self.asked = phase, now, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a drill is now: the step to go on with, what is waited for, and what was measured just now, in seconds."""

    phase: DrillPhase
    message: str
    measured: dict[str, float] = field(default_factory=dict)


async def advance(drill: Object, phase: DrillPhase, watch: Stopwatch, tools: Tools) -> Progress:
    """Do one look at a drill between Starting and Returning. Raises `DrillFailed`, and `ApiError` for what may work later."""
    watch.at(phase, tools.clock())
    try:
        site = await (make_site if phase is DrillPhase.STARTING else site_of)(tools.client, drill)
        if site is None:
            raise DrillFailed(DrillReason.PodLost, "its Service in the scratch namespace is gone, and the Pods go with it")
        scene = _Scene(site=site, watch=watch, tools=tools)
        if phase is DrillPhase.STARTING:
            return await _starting(scene)
        # From here on a Pod that goes away ends the drill: what was measured would be about another one.
        release = await scene.demand(Role.RELEASE)
        if phase is DrillPhase.SERVING:
            return await _serving(scene, release)
        if phase is DrillPhase.RESTORING:
            return await _restoring(scene)
        baseline = await scene.demand(Role.BASELINE)
        return await (_withdrawing if phase is DrillPhase.WITHDRAWING else _returning)(scene, release, baseline)
    except Ending as taken:
        raise DrillFailed(DrillReason.NameTaken, str(taken).replace("of this run", "of this drill")) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    site: Site
    watch: Stopwatch
    tools: Tools

    @property
    def elapsed(self) -> float:
        """Seconds in this step, as far as this process knows."""
        return self.tools.clock() - self.watch.entered

    async def pod(self, role: Role) -> Object | None:
        """Read a Pod of the drill. Raises `Ending` when somebody else has its name."""
        there = await owned(self.tools.client, PODS, self.site.owner, pod_name(self.site.name, role))
        return None if there is None else typed(there, PODS)

    async def make(self, role: Role) -> Object:
        """Make a Pod of the drill."""
        template = await self.tools.templates(role)
        return typed(await ensure(self.tools.client, PODS, self.site.owner, drill_pod(self.site, role, template)), PODS)

    async def demand(self, role: Role) -> Object:
        """Read a Pod that has to be there; while the baseline is restored, that one need not be."""
        pod = await self.pod(role)
        if pod is None or self.state(pod, role).stand is Stand.GONE:
            raise DrillFailed(DrillReason.PodLost, f"{self.state(pod, role).message}, and what was measured is about nothing")
        await self.let_go(pod)
        return pod

    def state(self, pod: Object | None, role: Role) -> PodState:
        """How far a Pod is."""
        return state_of(pod, what=f"the Pod {pod_name(self.site.name, role)}")

    async def let_go(self, pod: Object) -> None:
        """Take the scheduling gate off a Pod that may run. Raises `DrillFailed` for one that may not."""
        try:
            view = view_pod(pod)
        except PodMalformedError as error:
            raise DrillFailed(DrillReason.NotPermitted, f"Pod {pod['metadata']['name']}: {error}") from None
        decision = self.tools.judge(view, pod["metadata"]["namespace"])
        if decision.action is Action.ALLOW:
            if view.scheduling_gated and "deletionTimestamp" not in pod["metadata"]:
                await _tolerant(take_gate_off(self.tools.client, pod), pod)
        elif decision.reason is not Reason.NotReady:
            raise DrillFailed(DrillReason.NotPermitted, f"Pod {pod['metadata']['name']} may not run: {' '.join(decision.lines)}")

    async def endpoints(self) -> frozenset[str]:
        """UIDs of the Pods that the Service sends requests to."""
        slices = await self.tools.client.list(ENDPOINT_SLICES, self.site.namespace, label_selector=f"kubernetes.io/service-name={self.site.name}")
        found_ = (endpoint for item in slices for endpoint in item.get("endpoints") or ())
        return frozenset(str((at.get("targetRef") or {}).get("uid")) for at in found_ if (at.get("conditions") or {}).get("ready"))

    async def expose(self, pod: Object) -> None:
        """Let the Service have a Pod, unless it has it already. Raises `DrillFailed` when users would meet it."""
        if self.tools.router.exposure(pod).exposed:
            return
        labels = pod["metadata"]["labels"]
        for service in await self.tools.client.list(SERVICES, pod["metadata"]["namespace"]):
            selector = service["spec"].get("selector") or {}
            if selector and selector.items() <= labels.items() and not self.site.has(service):
                name = service["metadata"]["name"]
                message = f"Service {name} selects Pods by {', '.join(sorted(selector))} alone, so its users would meet the Pods of a drill"
                raise DrillFailed(DrillReason.UsersWouldMeetIt, message)
        await _tolerant(self.tools.router.expose(pod, reason=str(Reason.DrillPod), message="the drill puts it into its own traffic"), pod)

    def follow(self, what: str) -> str:
        """Say what is waited for. Raises `DrillFailed` when it takes too long."""
        if self.elapsed > FOLLOW_SECONDS:
            raise DrillFailed(DrillReason.TrafficDoesNotFollow, f"{what}: the endpoints of Service {self.site.name} did not follow in time")
        return what


async def _starting(scene: _Scene) -> Progress:
    # The release, from the template of its Deployment.
    await scene.tools.lists(Role.RELEASE, scene.site)
    pod = await scene.pod(Role.RELEASE)
    if pod is not None and scene.state(pod, Role.RELEASE).stand is Stand.GONE:
        if "deletionTimestamp" not in pod["metadata"]:
            await delete(scene.tools.client, PODS, pod)
        return Progress(phase=DrillPhase.STARTING, message="a Pod of the release that ended makes room")
    pod = pod or await scene.make(Role.RELEASE)
    await scene.let_go(pod)
    state = scene.state(pod, Role.RELEASE)
    if state.stand is Stand.READY:
        return Progress(phase=DrillPhase.SERVING, message="the release runs")
    if state.stand is Stand.BROKEN or scene.elapsed > scene.tools.start_seconds:
        raise DrillFailed(DrillReason.ReleaseDoesNotStart, state.message)
    return Progress(phase=DrillPhase.STARTING, message=state.message)


async def _serving(scene: _Scene, release: Object) -> Progress:
    await scene.expose(release)
    if release["metadata"]["uid"] in await scene.endpoints():
        return Progress(phase=DrillPhase.RESTORING, message="the release is in traffic; the baseline is brought up")
    return Progress(phase=DrillPhase.SERVING, message=scene.follow("the release goes into traffic"))


async def _restoring(scene: _Scene) -> Progress:
    await scene.tools.lists(Role.BASELINE, scene.site)
    pod = await scene.pod(Role.BASELINE)
    if scene.watch.asked is None:
        if pod is not None:
            # Begun by a process that is gone: nobody knows when.
            if "deletionTimestamp" not in pod["metadata"]:
                await delete(scene.tools.client, PODS, pod)
            return Progress(phase=DrillPhase.RESTORING, message="the measurement begins again: a Pod of the baseline makes room")
        asked = scene.tools.clock()
        pod = await scene.make(Role.BASELINE)
        scene.watch.asked = asked
    if pod is None:
        raise DrillFailed(DrillReason.PodLost, "the Pod of the baseline is gone, and nobody could stand in")
    state = scene.state(pod, Role.BASELINE)
    if state.stand is Stand.GONE:
        raise DrillFailed(DrillReason.PodLost, f"{state.message}, and nobody could stand in")
    if state.stand is Stand.BROKEN or scene.elapsed > scene.tools.start_seconds:
        raise DrillFailed(DrillReason.BaselineDoesNotStart, state.message)
    await scene.let_go(pod)
    if not scene.tools.router.exposure(pod).exposed:
        await scene.expose(await scene.pod(Role.BASELINE) or pod)
    if pod["metadata"]["uid"] in await scene.endpoints():
        took = scene.tools.clock() - scene.watch.asked
        return Progress(phase=DrillPhase.WITHDRAWING, message="the baseline stands in; the release goes out of traffic", measured={"restore_seconds": took})
    return Progress(phase=DrillPhase.RESTORING, message=state.message if state.stand is not Stand.READY else "the baseline goes into traffic")


async def _withdrawing(scene: _Scene, release: Object, baseline: Object) -> Progress:
    serving = await scene.endpoints()
    if scene.watch.asked is None:
        if release["metadata"]["uid"] not in serving:
            await scene.expose(release)
            return Progress(phase=DrillPhase.WITHDRAWING, message=scene.follow("the release goes into traffic once more, to be measured from its beginning"))
        asked = scene.tools.clock()
        await scene.tools.router.withdraw(release, reason=str(Reason.DrillPod), message="the drill takes it out of its own traffic")
        scene.watch.asked = asked
    elif release["metadata"]["uid"] not in serving:
        took = scene.tools.clock() - scene.watch.asked
        if baseline["metadata"]["uid"] not in serving:
            raise DrillFailed(DrillReason.PodLost, "the release is out of traffic, and so is the baseline: nobody would answer")
        return Progress(phase=DrillPhase.RETURNING, message="only the baseline is in traffic; the release comes back", measured={"out_seconds": took})
    return Progress(phase=DrillPhase.WITHDRAWING, message=scene.follow("the release goes out of traffic"))


async def _returning(scene: _Scene, release: Object, _baseline: Object) -> Progress:
    serving = await scene.endpoints()
    if scene.watch.asked is None:
        if release["metadata"]["uid"] in serving:
            await scene.tools.router.withdraw(release, reason=str(Reason.DrillPod), message="the drill takes it out of its own traffic")
            return Progress(phase=DrillPhase.RETURNING, message=scene.follow("the release goes out of traffic once more, to be measured from its beginning"))
        asked = scene.tools.clock()
        await scene.expose(release)
        scene.watch.asked = asked
    elif release["metadata"]["uid"] in serving:
        took = scene.tools.clock() - scene.watch.asked
        return Progress(phase=DrillPhase.PROVING, message="the release is back in traffic", measured={"back_seconds": took})
    else:
        await scene.expose(release)
    return Progress(phase=DrillPhase.RETURNING, message=scene.follow("the release comes back into traffic"))


async def _tolerant(write: Awaitable[object], pod: Object) -> None:
    """Do a write that is bound to the Pod as it was read; the next look does what a change in between prevented."""
    try:
        await write
    except (Conflict, Invalid) as error:
        log.info("pod %s/%s: changed while it was judged, looked at again: %s", pod["metadata"]["namespace"], pod["metadata"]["name"], error)
