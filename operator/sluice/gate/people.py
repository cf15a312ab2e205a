"""People: who decided what, who writes status, who opts a namespace out."""

from __future__ import annotations

from typing import Final

from sluice.api.approval import ApprovalDecision
from sluice.api.kinds import RELEASE_APPROVAL, RELEASE_WAIVER
from sluice.api.names import GOVERN_LABEL, GROUP, PROFILE_LABEL, SCRATCH_LABEL, STAGE_LABEL, STRICT_LABEL, VERSION
from sluice.gate.policy import CREATE, DELETE, OPTED_IN, UPDATE, Installation, Manifest, Matches, Rule, by_kubernetes, mutating, patch, validating

_DECISIONS: Final = Matches(group=GROUP, version=VERSION, resources=[RELEASE_APPROVAL.plural, RELEASE_WAIVER.plural], operations=CREATE)


def stamp_approvals() -> list[Manifest]:
    """Write who is asking into approvals and waivers. After creation the field never changes: the CRDs say so."""
    return mutating(
        "sluice-stamp-approvals",
        why="Approvals and waivers carry the identity of the person who creates them.",
        matches=_DECISIONS,
        mutations=[
            patch(
                """\
has(object.spec) && !has(object.spec.approver)
  ? [JSONPatch{op: 'add', path: '/spec/approver', value: {
      'username': dyn(request.userInfo.username),
      'groups': dyn(request.userInfo.?groups.orValue([]))}}]
  : []"""
            )
        ],
    )


def guard_approvals() -> list[Manifest]:
    """Refuse an approval or waiver in the name of somebody else. Whether the person may decide is said by `ReleasePolicy`, never by RBAC."""
    return validating(
        "sluice-guard-approvals",
        why="Nobody approves or waives in the name of somebody else.",
        matches=_DECISIONS,
        rules=[
            Rule(
                expression="""\
object.spec.?approver.?username.orValue('') == request.userInfo.username
  && object.spec.?approver.?groups.orValue([]) == request.userInfo.?groups.orValue([])""",
                message="denied by sluice: spec.approver is not who you are; leave it out, the API server fills it in",
                details="""\
'denied by sluice: spec.approver names ' + object.spec.?approver.?username.orValue('nobody')
  + ' and groups that are not yours; you are ' + request.userInfo.username + '; leave spec.approver out, the API server fills it in'""",
            )
        ],
    )


def guard_revocations(installation: Installation) -> list[Manifest]:
    """Keep what takes an approval back: without it the approval would count again. It goes with its namespace, or by those whom the chart's values list."""
    return validating(
        "sluice-guard-revocations",
        why="An approval that was taken back stays so.",
        matches=Matches(group=GROUP, version=VERSION, resources=[RELEASE_APPROVAL.plural], operations=DELETE),
        rules=[
            Rule(
                expression=f"""\
oldObject.?spec.?decision.orValue('') != '{ApprovalDecision.REVOKE}'
  || {by_kubernetes("namespace-controller")}
  || {installation.by_platform_team}""",
                message="denied by sluice: a revocation is kept; whoever still approves creates another approval",
            )
        ],
    )


def guard_status(installation: Installation) -> list[Manifest]:
    """Refuse a status of our kinds that is not the controller's. Also for cluster administrators: a status is a conclusion, not a setting."""
    return validating(
        "sluice-guard-status",
        why="What Sluice concludes is written by its controller only.",
        matches=Matches(group=GROUP, version=VERSION, resources=["*/status"], operations=(*CREATE, *UPDATE)),
        rules=[
            Rule(
                expression=installation.by_controller,
                message="denied by sluice: the status is written by the controller only; add evidence or approvals to change what it concludes",
            )
        ],
    )


def guard_namespaces(installation: Installation) -> list[Manifest]:
    """Keep governed namespaces governed. A namespace is opted in by anybody who may label it, and out by those whom the chart's values list.

    The stage is kept as well: a release that is for staging only must not become entitled by a label. And whose drills run here is nobody else's to add: they
    come with the images of another namespace, to what lies in this one. A profile says which policies select the namespace. Status and finalizers can be used
    to write labels.
    """
    return validating(
        "sluice-guard-namespaces",
        why="Governed namespaces stay governed.",
        matches=Matches(group="", version="v1", resources=["namespaces", "namespaces/status", "namespaces/finalize"], operations=UPDATE),
        conditions={"was-governed": f"oldObject.?metadata.?labels['{GOVERN_LABEL}'].orValue('') == '{OPTED_IN}'"},
        variables={"trusted": installation.by_platform_team},
        rules=[
            Rule(
                expression=f"""\
variables.trusted || !('{label}' in oldObject.metadata.labels)
  || object.?metadata.?labels['{label}'] == oldObject.?metadata.?labels['{label}']""",
                message=(
                    f"denied by sluice: the label {label} of a governed namespace is changed by the platform team only; ask them"
                    " (they are listed in the chart's value namespaceGuard)"
                ),
            )
            for label in (GOVERN_LABEL, STRICT_LABEL, STAGE_LABEL)
        ]
        + [
            Rule(
                expression=f"""\
variables.trusted
  || object.?metadata.?labels['{label}'].orValue('') == oldObject.?metadata.?labels['{label}'].orValue('')""",
                message=(
                    f"denied by sluice: the label {label} of a governed namespace is set and changed by the platform team only; ask them"
                    " (they are listed in the chart's value namespaceGuard)"
                ),
            )
            for label in (SCRATCH_LABEL, PROFILE_LABEL)
        ],
    )
