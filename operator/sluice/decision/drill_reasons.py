"""Codes on `ReleaseDrill.status.reason`, each with the sentence that docs/reasons.md prints. Like all codes they are an interface: added, never changed."""

from __future__ import annotations

from enum import StrEnum


class DrillReason(StrEnum):
    """Why a drill stands where it stands, or ended as it did."""

    # Passed
    WayBackWorks = "WayBackWorks"
    # Failed, or Pending while it may still come
    ReleaseNotFound = "ReleaseNotFound"
    ReleaseNotPermitted = "ReleaseNotPermitted"
    BaselineMissing = "BaselineMissing"
    BaselineNotEntitled = "BaselineNotEntitled"
    WorkloadNotFound = "WorkloadNotFound"
    TemplateGone = "TemplateGone"
    ScratchNotFound = "ScratchNotFound"
    ScratchNotGoverned = "ScratchNotGoverned"
    ScratchStageNotPermitted = "ScratchStageNotPermitted"
    RefusedByCluster = "RefusedByCluster"
    NotReady = "NotReady"
    AnotherDrill = "AnotherDrill"
    # Failed
    ReleaseDoesNotStart = "ReleaseDoesNotStart"
    BaselineDoesNotStart = "BaselineDoesNotStart"
    TrafficDoesNotFollow = "TrafficDoesNotFollow"
    PodLost = "PodLost"
    NotPermitted = "NotPermitted"
    NameTaken = "NameTaken"
    UsersWouldMeetIt = "UsersWouldMeetIt"
    TimeOver = "TimeOver"
    DrillInvalid = "DrillInvalid"
    # Under way
    Starting = "Starting"
    Measuring = "Measuring"


DRILL_MEANING: dict[DrillReason, str] = {
    DrillReason.WayBackWorks: "Passed: the baseline came into traffic from its kept template, the release went out of it and came back. Evidence is signed.",
    DrillReason.ReleaseNotFound: "There is no ModelRelease of this name, or it cannot be read.",
    DrillReason.ReleaseNotPermitted: "The release may not run, not even out of users' way: something else than the drill is open. The message says what.",
    DrillReason.BaselineMissing: "The release names no baseline: there is no way back to try.",
    DrillReason.BaselineNotEntitled: "The baseline is not there or not entitled to serve, so nothing could be rolled back to it.",
    DrillReason.WorkloadNotFound: "No Deployment has a template that names the release.",
    DrillReason.TemplateGone: "No ReplicaSet of the Deployment keeps a template of the baseline: nobody could stand in. Raise spec.revisionHistoryLimit.",
    DrillReason.ScratchNotFound: "No other namespace is labelled `sluice.dev/scratch-for` with the name of this one. The platform team prepares it.",
    DrillReason.ScratchNotGoverned: 'The scratch namespace is not governed, so nobody guards what is drilled there. Label it `sluice.dev/govern: "true"`.',
    DrillReason.ScratchStageNotPermitted: "The scratch namespace has a stage that the release or its baseline is not for. The platform team sets the label.",
    DrillReason.RefusedByCluster: "The API server refuses what the drill needs (a quota, a policy of somebody else); the message says what. It is tried again.",
    DrillReason.NotReady: "The controller cannot decide now; it looks again.",
    DrillReason.AnotherDrill: "Another drill of the release is under way; one after the other.",
    DrillReason.ReleaseDoesNotStart: "Failed: the Pod of the release does not become ready.",
    DrillReason.BaselineDoesNotStart: "Failed: the Pod of the baseline does not become ready: the way back is blocked. The message says why.",
    DrillReason.TrafficDoesNotFollow: "Failed: the endpoints of the Service did not follow what was asked within a minute.",
    DrillReason.PodLost: "Failed: a Pod of the drill went away while it was measured.",
    DrillReason.NotPermitted: "Failed: a Pod of the drill may not run any more.",
    DrillReason.NameTaken: "Failed: an object that the drill needs is there, and is somebody else's.",
    DrillReason.UsersWouldMeetIt: "Failed: a Service selects by labels that the Pods of a drill have, too. Let it select by another label as well.",
    DrillReason.TimeOver: "Failed: the drill took longer than all of its steps may.",
    DrillReason.DrillInvalid: "Failed: the drill itself cannot be read.",
    DrillReason.Starting: "The Pod of the release starts.",
    DrillReason.Measuring: "The way back is being measured.",
}
