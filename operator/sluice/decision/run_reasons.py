"""Codes on `CanaryRun.status.reason`, each with the sentence that docs/reasons.md prints. Like all codes they are an interface: added, never changed.

They are given where a run is brought forward (`sluice.rollout`, `sluice.controller`) and judged (`sluice.scoring`, which says them as plain text).
"""

from __future__ import annotations

from enum import StrEnum


class RunReason(StrEnum):
    """Why a run stands where it stands, or ended as it did."""

    # Promote
    WithinMargin = "WithinMargin"
    # RollBack
    WorseThanMargin = "WorseThanMargin"
    GateHit = "GateHit"
    CandidateDoesNotStart = "CandidateDoesNotStart"
    CandidateFailed = "CandidateFailed"
    # Inconclusive
    AllScored = "AllScored"
    TimeOver = "TimeOver"
    BaselineDoesNotStart = "BaselineDoesNotStart"
    CandidateNotScheduled = "CandidateNotScheduled"
    CandidateLost = "CandidateLost"
    CandidateNotReady = "CandidateNotReady"
    BaselineLost = "BaselineLost"
    ScoringFailed = "ScoringFailed"
    StatisticsRefused = "StatisticsRefused"
    ScorerUnavailable = "ScorerUnavailable"
    CasesInvalid = "CasesInvalid"
    SuiteChanged = "SuiteChanged"
    NotAskedFor = "NotAskedFor"
    NotPermitted = "NotPermitted"
    NameTaken = "NameTaken"
    MonitorAlarmed = "MonitorAlarmed"
    ExposureTimeOver = "ExposureTimeOver"
    ReleaseGone = "ReleaseGone"
    RunInvalid = "RunInvalid"
    # Pending
    ScorerImageMissing = "ScorerImageMissing"
    RefusedByCluster = "RefusedByCluster"
    WorkloadNotHeld = "WorkloadNotHeld"
    BaselineNotRunning = "BaselineNotRunning"
    CasesNotFound = "CasesNotFound"
    JudgeNotServing = "JudgeNotServing"
    ScoringSuspended = "ScoringSuspended"
    Starting = "Starting"
    Scoring = "Scoring"
    MinDurationNotOver = "MinDurationNotOver"
    # Exposing
    Exposing = "Exposing"
    ShareTooSmall = "ShareTooSmall"


RUN_MEANING: dict[RunReason, str] = {
    RunReason.WithinMargin: "Promote: no metric is worse than its margin, in no slice.",
    RunReason.WorseThanMargin: "RollBack: a metric, or a slice of it, is worse than its margin.",
    RunReason.GateHit: "RollBack: an answer of the candidate hit a hard gate, which no comparison excuses.",
    RunReason.CandidateDoesNotStart: "RollBack: the candidate's container ends again and again, or is not ready in time, while its baseline is.",
    RunReason.CandidateFailed: "RollBack: a container of the candidate ended while users met it.",
    RunReason.AllScored: "Inconclusive: all planned cases are scored, and the evidence decides for neither side; `pairsToDecide` says how many more would do.",
    RunReason.TimeOver: "Inconclusive: nothing was decided within maxDuration.",
    RunReason.BaselineDoesNotStart: "Inconclusive: the Pod of the baseline does not start, so there is nothing to compare with.",
    RunReason.CandidateNotScheduled: "Inconclusive: no node takes the Pod of the candidate, which is not its fault. Make room, and apply a new release.",
    RunReason.CandidateLost: "Inconclusive: the Pod of the candidate went away while it was asked, or while users met it.",
    RunReason.CandidateNotReady: "Inconclusive: the candidate was not ready any more while users met it, and nobody knows why.",
    RunReason.BaselineLost: "Inconclusive: the Pod of the baseline went away while it was asked.",
    RunReason.ScoringFailed: "Inconclusive: the scoring Job ended, or was deleted, before a decision. Its Pods' logs say why.",
    RunReason.StatisticsRefused: "Inconclusive: what a scorer told is not of this plan.",
    RunReason.ScorerUnavailable: "Inconclusive: a judge or a container of your own said nothing about more than 1 % of the cases.",
    RunReason.CasesInvalid: "Inconclusive: the cases of the suite cannot be read, or not asked and scored as it says.",
    RunReason.SuiteChanged: "Inconclusive: the suite is not the one any more that the run pinned.",
    RunReason.NotAskedFor: "Inconclusive: policy, suite or baseline is another one now. The comparison that is asked for now is another run.",
    RunReason.NotPermitted: "Inconclusive: a Pod of the run may not run any more.",
    RunReason.NameTaken: "Inconclusive: an object that the run needs is there, and is somebody else's.",
    RunReason.MonitorAlarmed: "Inconclusive: a monitor of the release found drift or silence while users met a share of it.",
    RunReason.ExposureTimeOver: "Inconclusive: the comparison was good, but the live share took longer than its stages and maxDuration together.",
    RunReason.ReleaseGone: "Inconclusive: the release was deleted.",
    RunReason.RunInvalid: "Inconclusive: the run itself cannot be read.",
    RunReason.ScorerImageMissing: "The controller was started without --scorer-image.",
    RunReason.RefusedByCluster: "The API server refuses what the run needs; the message says what. It is tried again.",
    RunReason.WorkloadNotHeld: "It waits until the workload is held for the release.",
    RunReason.BaselineNotRunning: "It waits for a workload of the baseline, whose template its Pod is made of.",
    RunReason.CasesNotFound: "It waits for the cases: there is no such ConfigMap, or it has another digest than the suite names.",
    RunReason.JudgeNotServing: "The release that judges may not serve, or is not the one of the suite. It waits; once cases are asked, it ends.",
    RunReason.ScoringSuspended: "The scoring Job is suspended: it waits for its turn in a queue, or lost it to others. maxDuration begins anew with its turn.",
    RunReason.Starting: "The Pods of the run start.",
    RunReason.Scoring: "Cases are being asked.",
    RunReason.MinDurationNotOver: "The candidate is good enough, but minDuration is not over. It is asked on; what is found worse by then rolls back.",
    RunReason.Exposing: "The comparison was good, and users meet a share of the candidate; it is promoted when the last stage is over.",
    RunReason.ShareTooSmall: "The comparison was good, but one Pod of the candidate would be a larger share of a Service than the stage allows.",
}
