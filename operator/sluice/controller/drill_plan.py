"""What a drill is about: which release and baseline, of which Deployment, where their templates are, and where it is done.

That is the namespace of its release, unless it asks for a scratch namespace: the templates name Secrets, ConfigMaps, volumes and service accounts of just this
namespace, which the controller cannot read and shall not copy. A scratch namespace is one in which the platform team has put its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sluice.api.drill import DrillSpec, Place
from sluice.api.names import RELEASE_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.resource import DEPLOYMENTS, REPLICA_SETS
from sluice.controller.drill_status import Pins
from sluice.controller.weights_lists import keep_lists
from sluice.decision.drill_reasons import DrillReason
from sluice.decision.model import Allowance, Release
from sluice.decision.records import Key
from sluice.decision.scratch import ScratchProblem, find_scratch
from sluice.decision.world import World
from sluice.rollout.canary_pods import replica_set_of
from sluice.rollout.drill import DrillFailed
from sluice.rollout.drill_objects import Role, Site
from sluice.rollout.owned import found


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """What has to come first."""

    reason: DrillReason
    message: str


async def pins_for(spec: DrillSpec, namespace: str, world: World, client: ApiClient, *, now: datetime) -> Pins | Blocked:
    """Find out what a drill is about, and whether it may begin. Raises `ApiError`."""
    # 1. The release may run, out of users' way; its baseline may serve.
    key = Key(namespace=namespace, name=spec.release.name)
    release = world.releases.get(key)
    if not isinstance(release, Release):
        return Blocked(reason=DrillReason.ReleaseNotFound, message=f"there is no ModelRelease {key.name} in namespace {namespace} that can be read")
    named = release.spec.change.baseline
    if named is None:
        return Blocked(reason=DrillReason.BaselineMissing, message=f"{key.name} names no baseline: there is no way back to try")
    verdict = world.verdict(key, now=now)
    if verdict is None or verdict.allows is Allowance.NOTHING:
        open_ = ", ".join(f"{result.requirement} ({result.reason})" for result in (verdict.open if verdict else ())) or "it was rejected"
        return Blocked(reason=DrillReason.ReleaseNotPermitted, message=f"{key.name} may not run, not even out of users' way: {open_}")
    back = Key(namespace=namespace, name=named.name)
    baseline, standing = world.releases.get(back), world.verdict(back, now=now)
    if not isinstance(baseline, Release) or standing is None or standing.allows is not Allowance.SERVE:
        return Blocked(reason=DrillReason.BaselineNotEntitled, message=f"the baseline {named.name} is not there or not entitled to serve")
    # 2. A Deployment that names the one and keeps a template of the other.
    deployment = await _deployment(spec, namespace, client)
    if deployment is None:
        which = f"Deployment {spec.deployment.name} does not exist" if spec.deployment else f"no Deployment has a template that names {key.name}"
        return Blocked(reason=DrillReason.WorkloadNotFound, message=which)
    pins = Pins(release_digest=release.digest, baseline=named.name, baseline_digest=baseline.digest, deployment=deployment["metadata"]["name"])
    replica_sets = await client.list(REPLICA_SETS, namespace)
    for name in (key.name, named.name):
        if _template(deployment, replica_sets, name) is None:
            message = f"Deployment {pins.deployment} keeps no template of {name}: it cannot be restored; raise spec.revisionHistoryLimit"
            return Blocked(reason=DrillReason.TemplateGone, message=message)
    # 3. Room to do it in.
    if spec.place is not Place.SCRATCH_NAMESPACE:
        return pins
    scratch = find_scratch(namespace, world.namespaces.values(), (release, baseline))
    if isinstance(scratch, ScratchProblem):
        return Blocked(reason=scratch.reason, message=scratch.message)
    return replace(pins, scratch_namespace=scratch.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTemplates:
    """`Templates` of one drill."""

    client: ApiClient
    namespace: str
    release: str
    pins: Pins

    async def __call__(self, role: Role) -> Object:
        """Find the template of the release or the baseline. Raises `DrillFailed` and `ApiError`."""
        name = self.release if role is Role.RELEASE else self.pins.baseline
        deployment = await found(self.client, DEPLOYMENTS.path(self.namespace, self.pins.deployment))
        template = None if deployment is None else _template(deployment, await self.client.list(REPLICA_SETS, self.namespace), name)
        if template is None:
            raise DrillFailed(DrillReason.TemplateGone, f"Deployment {self.pins.deployment} keeps no template of {name} any more")
        return template


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLists:
    """`Lists` of one drill."""

    client: ApiClient
    namespace: str
    release: str
    pins: Pins
    world: World

    async def __call__(self, role: Role, site: Site) -> None:
        """Put the lists beside the Pod, in a scratch namespace; where the release is they are kept as it is. Raises `ApiError`."""
        key = Key(namespace=self.namespace, name=self.release if role is Role.RELEASE else self.pins.baseline)
        release = self.world.releases.get(key)
        if site.home is not None and isinstance(release, Release):
            await keep_lists(self.client, site.owner, release, self.world)


async def _deployment(spec: DrillSpec, namespace: str, client: ApiClient) -> Object | None:
    if spec.deployment is not None:
        return await found(client, DEPLOYMENTS.path(namespace, spec.deployment.name))
    naming = [item for item in await client.list(DEPLOYMENTS, namespace) if names(item, spec.release.name)]
    return min(naming, key=lambda item: str(item["metadata"]["name"]), default=None)


def names(deployment: Object, release: str) -> bool:
    """Tell whether the template of a Deployment names a release."""
    template: Object = deployment["spec"]["template"]
    return bool(((template.get("metadata") or {}).get("labels") or {}).get(RELEASE_LABEL) == release)


def _template(deployment: Object, replica_sets: list[Object], release: str) -> Object | None:
    """The template that names a release: the Deployment's own, or the newest that its history keeps."""
    if names(deployment, release):
        own: Object = deployment["spec"]["template"]
        return own
    kept = replica_set_of(deployment, replica_sets, release)
    return None if kept is None else kept["spec"]["template"]
