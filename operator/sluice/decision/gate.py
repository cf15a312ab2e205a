"""What happens to a Pod: the one place that decides it.

What can still become right is *held* (nobody approved yet, the release is not there yet: GitOps applies objects in any order).
What cannot is *denied*, at the Pod, with the reason and the remedy in the message that `kubectl` shows.
Webhook and controller call the same function; L0, in the API server, holds whatever neither has looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sluice.api.canary import CanaryDecision
from sluice.api.names import GOVERN_LABEL, STAGE_LABEL
from sluice.api.requirement import RequirementType
from sluice.decision.authority import authority_problem
from sluice.decision.controls import control_problem
from sluice.decision.granted import Granted
from sluice.decision.model import Allowance, Release, Verdict
from sluice.decision.reasons import Reason
from sluice.decision.scratch import home_of
from sluice.decision.weights import checked_images, weights_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.decision.drills import Drill
    from sluice.decision.pod import PodView
    from sluice.decision.runs import Run


class Action(StrEnum):
    """What the gate does with a Pod."""

    ALLOW = "Allow"
    HOLD = "Hold"
    DENY = "Deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """The namespace of a Pod; its labels are the platform's."""

    name: str
    labels: Mapping[str, str]

    @property
    def governed(self) -> bool:
        """Whether Sluice decides here."""
        return self.labels.get(GOVERN_LABEL) == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A release that a Pod names, with its verdict; `release` is None when the object cannot be read."""

    name: str
    release: Release | None
    verdict: Verdict | None
    problem: str = ""
    verifier: str = ""
    """The image that checks weights where they are loaded, by digest."""
    granted: Granted = field(default_factory=Granted)
    """What the cluster grants in the namespace of the Pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the gate does with a Pod, in words for the person who applied it."""

    action: Action
    reason: Reason
    message: str
    needs: tuple[str, ...] = ()
    remedy: str | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The message as `kubectl` shows it, line by line."""
        verb = {Action.HOLD: "held", Action.DENY: "denied", Action.ALLOW: "allowed"}[self.action]
        head = f"{verb} by sluice: {self.message} ({self.reason})"
        return (head, *(f"  {need}" for need in self.needs), *((f"  → {self.remedy}",) if self.remedy else ()))


def decide_pod(pod: PodView, namespace: Namespace, subject: Subject | None, *, serves: Mapping[str, str]) -> Decision:
    """Decide what happens to `pod`.

    `subject` is the release it names, in the namespace that `home_of` gives, None when there is none of this name; `serves` maps the digests of model-carrying
    images known in its namespace to the name of one such release. Raises nothing.
    """
    # 1. Namespaces that nobody opted in are no concern of ours.
    if not namespace.governed:
        return Decision(action=Action.ALLOW, reason=Reason.NotGoverned, message=f"namespace {namespace.name} is not governed")
    # 2. A known model does not get around the gate by naming no release.
    if pod.release is None:
        return _unnamed(pod, serves)
    # 3. GitOps applies objects in any order: what is not there yet is waited for.
    if subject is None:
        return Decision(
            action=Action.HOLD, reason=Reason.ReleaseNotFound,
            message=f"there is no ModelRelease {pod.release} in namespace {home_of(pod, namespace)} yet",
            remedy=f"apply the ModelRelease {pod.release}, or correct the label sluice.dev/release",
        )  # fmt: skip
    if subject.release is None or subject.verdict is None:
        return _unreadable(subject)
    # 4. What contradicts the release cannot become right: releases and Pods do not change.
    if contradiction := _contradiction(pod, namespace, subject, subject.release):
        return contradiction
    if pod.canary_run is not None and subject.verdict.allows is not Allowance.NOTHING:
        return Decision(
            action=Action.HOLD, reason=Reason.CanaryPod, message=f"it belongs to CanaryRun {pod.canary_run}, and the controller lets it go",
            remedy="nothing to do",
        )  # fmt: skip
    if pod.drill is not None and subject.verdict.allows is not Allowance.NOTHING:
        return Decision(
            action=Action.HOLD, reason=Reason.DrillPod, message=f"it belongs to ReleaseDrill {pod.drill}, and the controller lets it go", remedy="nothing to do"
        )
    return _by_verdict(namespace, subject.release, subject.verdict)


def decide_drill_pod(pod: PodView, namespace: Namespace, subject: Subject | None, drill: Drill, *, home: Namespace) -> Decision:
    """Decide whether a Pod that the controller made for `drill` may start, where no Service of users selects it.

    `subject` is the release that the Pod names, of the namespace `home`, which is that of the drill. Raises nothing.
    """
    # 1. The Pod must be one of this drill, where the drill is done, and where somebody decides.
    roles = {"release": (drill.release, drill.release_digest), "baseline": (drill.baseline, drill.baseline_digest)}
    name, digest = roles.get(pod.drill_role or "", ("", ""))
    if not (namespace.governed and home.governed) or pod.drill != drill.name or not name or pod.release != name:
        return Decision(action=Action.DENY, reason=Reason.DrillPod, message=f"it is no Pod of ReleaseDrill {drill.name} in a governed namespace")
    if drill.namespace != home.name or drill.place != namespace.name or home_of(pod, namespace) != home.name:
        done = f"ReleaseDrill {drill.name} of namespace {drill.namespace} is done in namespace {drill.place}"
        return Decision(action=Action.DENY, reason=Reason.DrillPod, message=f"{done}, and {namespace.name} is not it, or not scratch for it any more")
    if drill.over:
        return Decision(action=Action.DENY, reason=Reason.DrillPod, message=f"ReleaseDrill {drill.name} has ended: {drill.phase}")
    # 2. Like any other Pod it must be what its release says.
    if subject is None or subject.release is None or subject.verdict is None:
        return decide_pod(pod, namespace, subject, serves={})
    if contradiction := _wrong_stage(home, subject.release) or _contradiction(pod, namespace, subject, subject.release):
        return contradiction
    if subject.release.digest != digest:
        return Decision(
            action=Action.DENY, reason=Reason.ReleaseChanged, message=f"ReleaseDrill {drill.name} is about {digest}; {name} has {subject.release.digest}"
        )
    # 3. The release may be tried; what it goes back to may serve.
    enough = {Allowance.CANARY, Allowance.SERVE} if pod.drill_role == "release" else {Allowance.SERVE}
    if subject.verdict.allows in enough:
        return Decision(action=Action.ALLOW, reason=Reason.DrillPod, message=f"{name} may run in ReleaseDrill {drill.name}, out of users' way")
    return _by_verdict(namespace, subject.release, subject.verdict)


def decide_canary_pod(pod: PodView, namespace: Namespace, subject: Subject | None, run: Run) -> Decision:
    """Decide whether a Pod that the controller made for `run` may start, out of traffic: the one way past the gate for what may not serve yet.

    `subject` is the release that the Pod names. Raises nothing.
    """
    # 1. The Pod must be one of this run, in a namespace where somebody decides.
    spec, roles = run.spec, {"candidate": (run.spec.release.name, run.spec.release_digest), "baseline": (run.spec.baseline.name, run.spec.baseline_digest)}
    name, digest = roles.get(pod.canary_role or "", ("", ""))
    if not namespace.governed or pod.canary_run != run.name or not name or pod.release != name:
        return Decision(
            action=Action.DENY, reason=Reason.CanaryPod,
            message=f"it is neither {spec.release.name} nor {spec.baseline.name} of CanaryRun {run.name} in a governed namespace",
        )  # fmt: skip
    if run.decision is not CanaryDecision.PENDING:
        return Decision(action=Action.DENY, reason=Reason.CanaryPod, message=f"CanaryRun {run.name} has ended: {run.decision}")
    # 2. Like any other Pod it must be what its release says.
    if subject is None or subject.release is None or subject.verdict is None:
        return decide_pod(pod, namespace, subject, serves={})
    if contradiction := _contradiction(pod, namespace, subject, subject.release):
        return contradiction
    # 3. The candidate may be scored; what it is compared with may serve.
    enough = {Allowance.CANARY, Allowance.SERVE} if pod.canary_role == "candidate" else {Allowance.SERVE}
    if subject.release.digest != digest:
        return Decision(
            action=Action.DENY, reason=Reason.ReleaseChanged, message=f"CanaryRun {run.name} is about {digest}; {name} has {subject.release.digest}"
        )
    if subject.verdict.allows in enough:
        return Decision(action=Action.ALLOW, reason=Reason.CanaryPod, message=f"{name} may be scored in CanaryRun {run.name}, out of traffic")
    return _by_verdict(namespace, subject.release, subject.verdict)


def _unreadable(subject: Subject) -> Decision:
    return Decision(action=Action.HOLD, reason=Reason.ReleaseInvalid, message=f"ModelRelease {subject.name} cannot be read: {subject.problem}")


def _by_verdict(namespace: Namespace, release: Release, verdict: Verdict) -> Decision:
    title = f"{release.spec.model}/{release.spec.version}"
    if verdict.allows is Allowance.SERVE:
        return Decision(action=Action.ALLOW, reason=Reason.Entitled, message=f"{title} may serve in namespace {namespace.name}")
    if verdict.rejected:
        who = next(finding for finding in verdict.approvals if finding.rejects and finding.counts)
        return Decision(
            action=Action.DENY, reason=Reason.Rejected, message=f"{title} was rejected for namespace {namespace.name}",
            needs=(who.message,), remedy="apply a new ModelRelease that answers the objection",
        )  # fmt: skip
    first = verdict.open[0]
    stands = "is not entitled to serve"
    if verdict.revoked:
        stands = "was revoked, or what it rests on was,"
    elif verdict.rolled_back:
        stands = "was rolled back"
    elif verdict.withdrawn:
        stands = "was withdrawn"
    elif verdict.allows is Allowance.CANARY:
        scored = any(result.type is RequirementType.CANARY for result in verdict.open)
        stands = "is scored beside its baseline before it may serve" if scored else "waits until the way back to its baseline has been tried"
    return Decision(
        action=Action.DENY if verdict.hopeless else Action.HOLD,
        reason=first.reason,
        message=f"{title} {stands} in namespace {namespace.name}",
        needs=tuple(f"{result.requirement}: {result.message}" for result in verdict.open),
        remedy=first.remedy,
    )


def _unnamed(pod: PodView, serves: Mapping[str, str]) -> Decision:
    for image in pod.images:
        if release := serves.get(image.digest or ""):
            return Decision(
                action=Action.DENY, reason=Reason.ReleaseNotNamed,
                message=f"{image.path} carries a model of release {release}, and the Pod names no release",
                remedy=f"set the label sluice.dev/release: {release} on the Pod template",
            )  # fmt: skip
    return Decision(action=Action.ALLOW, reason=Reason.NotGoverned, message="the Pod serves no model that Sluice knows")


def _contradiction(pod: PodView, namespace: Namespace, subject: Subject, release: Release) -> Decision | None:
    if wrong := _wrong_stage(namespace, release):
        return wrong
    if pod.final and (unchecked := _unchecked(pod, subject, release)):
        return unchecked
    if pod.final and subject.verdict is not None and (lacking := control_problem(pod, subject.verdict)):
        return Decision(action=Action.DENY, reason=Reason.ControlNotRunning, message=lacking.message, remedy=lacking.remedy)
    # The image that checks the weights is Sluice's own: in exactly the container that it adds, or will put in place of one that bears the name.
    ours = checked_images(pod, release, subject.verifier)
    for image in pod.images:
        if image.path in ours:
            continue
        if image.digest is None:
            return Decision(
                action=Action.DENY, reason=Reason.ImageNotPinned, message=f"{image.path} is {image.reference}, which names no digest",
                remedy="name the image by the digest that the release lists (registry/repository@sha256:…)",
            )  # fmt: skip
        if image.digest not in release.image_digests:
            return Decision(
                action=Action.DENY, reason=Reason.ImageNotInRelease,
                message=f"{image.path} is {image.reference}, which is no artifact of release {release.name}",
                remedy="use the images of the release, or apply a new ModelRelease that lists this one",
            )  # fmt: skip
    granted = release.spec.authority.service_account if release.spec.authority else None
    if granted is not None and granted != pod.service_account:
        return Decision(
            action=Action.DENY, reason=Reason.ServiceAccountNotPermitted,
            message=f"spec.serviceAccountName is {pod.service_account}; the authority of release {release.name} is {granted}",
            remedy=f"run the Pod as {granted}, or apply a new ModelRelease with this authority",
        )  # fmt: skip
    if subject.verdict is not None and (excess := authority_problem(pod, release, subject.verdict, subject.granted)):
        # Last: it may be all that is wrong, and be waited for.
        action, reason = (Action.DENY, Reason.CredentialNotDeclared) if excess.lasting else (Action.HOLD, Reason.AuthorityExceeded)
        return Decision(action=action, reason=reason, message=excess.message, remedy=excess.remedy)
    return None


def _unchecked(pod: PodView, subject: Subject, release: Release) -> Decision | None:
    problem = weights_problem(pod, release, subject.verifier)
    if problem is None:
        return None
    action = Action.HOLD if problem.reason is Reason.VerifierMissing else Action.DENY
    return Decision(action=action, reason=problem.reason, message=problem.message, remedy=problem.remedy)


def _wrong_stage(namespace: Namespace, release: Release) -> Decision | None:
    stage = namespace.labels.get(STAGE_LABEL)
    if stage in release.spec.stages:
        return None
    return Decision(
        action=Action.DENY, reason=Reason.StageNotPermitted,
        message=f"release {release.name} is for {', '.join(release.spec.stages)}; namespace {namespace.name} has stage {stage or '(no label)'}",
        remedy="apply a new ModelRelease that lists this stage, or ask the platform team for the label of the namespace",
    )  # fmt: skip
