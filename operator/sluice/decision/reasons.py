"""Stable reason codes, each with the sentence that docs/reasons.md prints.

A code is part of the interface: alerts, dashboards and people's runbooks name it. It is added and never changed.
"""

from __future__ import annotations

from enum import StrEnum

from sluice.decision.drill_reasons import DRILL_MEANING, DrillReason
from sluice.decision.run_reasons import RUN_MEANING, RunReason


class Reason(StrEnum):
    """Why a requirement, a decision of a person or a Pod came out as it did."""

    # A requirement
    SignatureVerified = "SignatureVerified"
    ProvenanceVerified = "ProvenanceVerified"
    EvaluationPassed = "EvaluationPassed"
    Approved = "Approved"
    EvidenceComplete = "EvidenceComplete"
    EvidenceMissing = "EvidenceMissing"
    EvidenceRefused = "EvidenceRefused"
    EvidenceExpired = "EvidenceExpired"
    AgeUnknown = "AgeUnknown"
    ArtifactMissing = "ArtifactMissing"
    SignerNotPermitted = "SignerNotPermitted"
    BuilderNotPermitted = "BuilderNotPermitted"
    CarrierUnbound = "CarrierUnbound"
    UncoveredFiles = "UncoveredFiles"
    ParameterNotAccepted = "ParameterNotAccepted"
    SummaryVerified = "SummaryVerified"
    SummaryNotAccepted = "SummaryNotAccepted"
    LineageVerified = "LineageVerified"
    LineageMissing = "LineageMissing"
    LineageUnclear = "LineageUnclear"
    LineageDiffers = "LineageDiffers"
    LineageTooLarge = "LineageTooLarge"
    DataInScope = "DataInScope"
    DataOutOfScope = "DataOutOfScope"
    DatasetUndescribed = "DatasetUndescribed"
    EvaluatorNotIndependent = "EvaluatorNotIndependent"
    TestSetNotPinned = "TestSetNotPinned"
    TestSetTrainedOn = "TestSetTrainedOn"
    AssuranceVerified = "AssuranceVerified"
    AssuranceNotNamed = "AssuranceNotNamed"
    AssuranceDiffers = "AssuranceDiffers"
    AssuranceNegative = "AssuranceNegative"
    AssuranceNotYet = "AssuranceNotYet"
    RollbackPlanned = "RollbackPlanned"
    RollbackPlanMissing = "RollbackPlanMissing"
    RollbackPlanIncomplete = "RollbackPlanIncomplete"
    AuthorityWithinBounds = "AuthorityWithinBounds"
    AuthorityExceeded = "AuthorityExceeded"
    AuthorityUnknown = "AuthorityUnknown"
    AuthorityNotDeclared = "AuthorityNotDeclared"
    ControlsListed = "ControlsListed"
    ControlMissing = "ControlMissing"
    RiskOwned = "RiskOwned"
    RiskOwnerMissing = "RiskOwnerMissing"
    RiskOwnerNotPermitted = "RiskOwnerNotPermitted"
    NotWorseThanBaseline = "NotWorseThanBaseline"
    WorseThanBaseline = "WorseThanBaseline"
    EvaluationInconclusive = "EvaluationInconclusive"
    BaselineNotMeasured = "BaselineNotMeasured"
    ParentUnknown = "ParentUnknown"
    TestSetDiffers = "TestSetDiffers"
    TooFewSamples = "TooFewSamples"
    ConditionMet = "ConditionMet"
    ConditionNotMet = "ConditionNotMet"
    ConditionUnclear = "ConditionUnclear"
    MeasureMissing = "MeasureMissing"
    ThresholdMissed = "ThresholdMissed"
    MetricOutOfRange = "MetricOutOfRange"
    ApprovalMissing = "ApprovalMissing"
    Waived = "Waived"
    EvidenceUnverified = "EvidenceUnverified"
    SignerRevoked = "SignerRevoked"
    ReleaseRevoked = "ReleaseRevoked"
    ArtifactRevoked = "ArtifactRevoked"
    RevocationUnreadable = "RevocationUnreadable"
    CheckFailed = "CheckFailed"
    # A canary
    CanaryPassed = "CanaryPassed"
    CanaryNotRun = "CanaryNotRun"
    CanaryRunning = "CanaryRunning"
    CanaryInconclusive = "CanaryInconclusive"
    CanaryRolledBack = "CanaryRolledBack"
    CanaryRunInvalid = "CanaryRunInvalid"
    CanaryUnproven = "CanaryUnproven"
    MinDurationTooLong = "MinDurationTooLong"
    FirstRelease = "FirstRelease"
    BaselineMissing = "BaselineMissing"
    BaselineNotEntitled = "BaselineNotEntitled"
    BaselineOfAnotherModel = "BaselineOfAnotherModel"
    PairsMissing = "PairsMissing"
    PairsOfAnother = "PairsOfAnother"
    SuiteNotFound = "SuiteNotFound"
    SuiteInvalid = "SuiteInvalid"
    SuiteNotPermitted = "SuiteNotPermitted"
    # After release
    WithinEnvelope = "WithinEnvelope"
    DriftFound = "DriftFound"
    MonitorSilent = "MonitorSilent"
    Withdrawn = "Withdrawn"
    DriftRolledBack = "DriftRolledBack"
    MonitorInvalid = "MonitorInvalid"
    MonitorUnusable = "MonitorUnusable"
    # A drill
    DrillPassed = "DrillPassed"
    DrillMissing = "DrillMissing"
    DrillExpired = "DrillExpired"
    DrillPod = "DrillPod"
    DrillTooRare = "DrillTooRare"
    # A release
    Entitled = "Entitled"
    NoPolicyMatches = "NoPolicyMatches"
    PolicyInvalid = "PolicyInvalid"
    ReleaseInvalid = "ReleaseInvalid"
    Rejected = "Rejected"
    # A decision of a person
    Counted = "Counted"
    RoleNotGranted = "RoleNotGranted"
    ReleaseChanged = "ReleaseChanged"
    ReleaseNotFound = "ReleaseNotFound"
    EvidenceChanged = "EvidenceChanged"
    Expired = "Expired"
    NotStamped = "NotStamped"
    SeparationOfDuties = "SeparationOfDuties"
    WaiverNotApproved = "WaiverNotApproved"
    WaiverRejected = "WaiverRejected"
    WaiverChanged = "WaiverChanged"
    ApprovalRevoked = "ApprovalRevoked"
    ApprovalNotYet = "ApprovalNotYet"
    NothingToRevoke = "NothingToRevoke"
    NotOnePerson = "NotOnePerson"
    NothingToWaive = "NothingToWaive"
    ObjectInvalid = "ObjectInvalid"
    # What the platform team writes
    Accepted = "Accepted"
    TrustRootNotFound = "TrustRootNotFound"
    TrustRootInvalid = "TrustRootInvalid"
    SignerUnverifiable = "SignerUnverifiable"
    RoleNotDefined = "RoleNotDefined"
    TierNotDefined = "TierNotDefined"
    BuilderNotPaired = "BuilderNotPaired"
    # A Pod
    NotGoverned = "NotGoverned"
    StageNotPermitted = "StageNotPermitted"
    ImageNotPinned = "ImageNotPinned"
    ImageNotInRelease = "ImageNotInRelease"
    ServiceAccountNotPermitted = "ServiceAccountNotPermitted"
    CredentialNotDeclared = "CredentialNotDeclared"
    ReleaseNotNamed = "ReleaseNotNamed"
    WeightsUnverified = "WeightsUnverified"
    WeightsNotMounted = "WeightsNotMounted"
    WeightsWritable = "WeightsWritable"
    ControlNotRunning = "ControlNotRunning"
    VerifierMissing = "VerifierMissing"
    CanaryPod = "CanaryPod"
    NotReady = "NotReady"
    Unchanged = "Unchanged"
    KindUnknown = "KindUnknown"


MEANING: dict[Reason, str] = {
    Reason.SignatureVerified: "A signer whom the policy permits signed a manifest of exactly these weights.",
    Reason.ProvenanceVerified: "A signer whom the policy permits attests how exactly this artifact was built.",
    Reason.EvaluationPassed: "Every measure, recomputed from the raw files, reaches its threshold with the confidence that the policy asks.",
    Reason.Approved: "Enough people in each role signed off exactly this release on exactly this evidence.",
    Reason.EvidenceComplete: "All evidence that the policies ask for is there, verified, by signers who may.",
    Reason.EvidenceMissing: "No verified statement of this kind speaks of this digest. Apply a ReleaseEvidence with one.",
    Reason.EvidenceRefused: "A bundle claims to speak of this digest and could not be verified; its ReleaseEvidence says why.",
    Reason.EvidenceExpired: "The evidence is older than the policy accepts, or than it says itself. Evaluate, or have it decided, again.",
    Reason.AgeUnknown: "The policy limits the age of evidence and this signature carries no trusted time. Sign with a log entry or a timestamp.",
    Reason.ArtifactMissing: "The policy asks for evidence about a type of artifact that the release does not have. Releases do not change: make another.",
    Reason.SignerNotPermitted: "The signature holds, but the policy does not let this signer make statements of this kind.",
    Reason.BuilderNotPermitted: "The provenance holds, but the policy does not accept its builder.",
    Reason.ParameterNotAccepted: "Whoever started the build chose something that policy does not accept; the message says what.",
    Reason.CarrierUnbound: "The uri pins an OCI manifest, and nothing ties it to the signed weights: no provenance, no ModelPack manifest at the signature.",
    Reason.UncoveredFiles: "The signer left paths of the model out of the signature. Sign all of it, or let the policy accept exactly these paths.",
    Reason.SummaryVerified: "A verifier whom the policy accepts passed this artifact, at the levels that it asks for.",
    Reason.SummaryNotAccepted: "There is a verification summary, by another verifier, not passed, or without a level that policy asks for.",
    Reason.LineageVerified: "The weights were walked back to approved roots: data, code, parameters and base models, as the policy asks.",
    Reason.LineageMissing: "A link between the weights and where they come from is missing; the message names the first one, and who could sign it.",
    Reason.LineageUnclear: "Something went into the weights and nobody says what it is. Sign provenance that gives it a role.",
    Reason.LineageDiffers: "Release and provenance disagree on the training run, the code or the parameters. The one or the other is about something else.",
    Reason.LineageTooLarge: "The lineage has more links than are walked. Name a base model as a root, or sign one bill of materials for what lies behind it.",
    Reason.DataInScope: "Every dataset behind the weights has a licence, classes of data and a scope of collection that the policy accepts.",
    Reason.DataOutOfScope: "A dataset behind the weights is outside of the scope that policy and release approve; the message says in what.",
    Reason.DatasetUndescribed: "Nobody who may says what a dataset is. Sign a dataset statement about its digest.",
    Reason.EvaluatorNotIndependent: "Who evaluated stands behind a signature of the weights, or is operated by people who do. Have somebody else evaluate.",
    Reason.TestSetNotPinned: "The numbers were measured on other cases than policy pins. Evaluate on these.",
    Reason.TestSetTrainedOn: "The model was trained on the cases that it was evaluated on, so the numbers say nothing. Train or evaluate without them.",
    Reason.AssuranceVerified: "Somebody whom the policy permits signed that the ticket is approved, the impact acceptable or the vendor's model fit for use.",
    Reason.AssuranceNotNamed: "The release does not name the ticket, the assessment or the vendor that policy asks for. Releases do not change: make another.",
    Reason.AssuranceDiffers: "What was signed is about another ticket, document or model than the release names.",
    Reason.AssuranceNegative: "The ticket was rejected, or the impact found not acceptable.",
    Reason.AssuranceNotYet: "What was signed is for later. Nothing to do but to wait.",
    Reason.RollbackPlanned: "The release says when to go back, and its baseline may serve; or it is the first of its model, or serves already.",
    Reason.RollbackPlanMissing: "The release does not say when to go back. Releases do not change: make one with spec.rollback.",
    Reason.RollbackPlanIncomplete: "The plan promises fewer drills than policy asks for. Releases do not change: make one with a shorter drillMaxAge.",
    Reason.AuthorityWithinBounds: "The cluster grants the service account, and every Pod of the release, no more than the release declares.",
    Reason.AuthorityExceeded: "The cluster grants more than the release declares; the message names each rule. Whoever granted it takes it back.",
    Reason.AuthorityUnknown: "What the cluster grants is not known here: files are not all there is. Ask the cluster.",
    Reason.AuthorityNotDeclared: "The release lacks what its grants are held against, or contradicts itself. Releases do not change: make another.",
    Reason.ControlsListed: "The release lists an image for each filter and log that policy asks for; every Pod of it has to run them.",
    Reason.ControlMissing: "The release lists no image that policy accepts as this filter or log, so no Pod of it could run one. Make another release.",
    Reason.RiskOwned: "The release names who carries the risk that remains, and policy lets them.",
    Reason.RiskOwnerMissing: "The release does not say which risk remains and who carries it. Releases do not change: make one with spec.residualRisk.",
    Reason.RiskOwnerNotPermitted: "Whom the release names is in no role that may carry risks. Releases do not change: make one that names somebody who is.",
    Reason.NotWorseThanBaseline: "Beside its baseline on the same cases, the release is shown to be worse by no more than policy allows.",
    Reason.WorseThanBaseline: "Beside its baseline on the same cases, the release is shown to be worse by more than policy allows.",
    Reason.EvaluationInconclusive: "Too few samples to show either side. The message says about how many would do.",
    Reason.BaselineNotMeasured: "No evaluation of the baseline that counts has what the release is to be compared by.",
    Reason.ParentUnknown: "The weights are quantized, pruned or distilled, and no provenance by a permitted signer names the model that they were made from.",
    Reason.TestSetDiffers: "The release and its baseline were not evaluated on the same cases.",
    Reason.TooFewSamples: "The number rests on fewer samples than policy asks for.",
    Reason.ConditionMet: "An expression of the policy is true.",
    Reason.ConditionNotMet: "An expression of the policy is false; the message says which, and in the words of its author what is wrong.",
    Reason.ConditionUnclear: "An expression of the policy reads something that is not there. Supply it, or have the expression ask with has().",
    Reason.MeasureMissing: "No verified evaluation has this metric of this suite.",
    Reason.ThresholdMissed: "The metric itself misses the threshold.",
    Reason.MetricOutOfRange: "The metric is outside [0, 1], where its confidence bound is not defined.",
    Reason.ApprovalMissing: "Not enough people signed off yet.",
    Reason.Waived: "Somebody with the right to do so took the risk, until a date.",
    Reason.EvidenceUnverified: "Evidence about the release is there and is being verified. That takes seconds; nothing to do.",
    Reason.SignerRevoked: "Evidence that the release rests on was signed by somebody who is believed no more. Have somebody else sign it, or make a release.",
    Reason.ReleaseRevoked: "The platform team revoked this release. It cannot be waived; apply a new release.",
    Reason.ArtifactRevoked: "The release has an artifact that was revoked, or was made from one. It cannot be waived; apply a release without it.",
    Reason.RevocationUnreadable: "A TrustRoot has revocations that cannot be read, and any release might be among them. The platform team repairs it.",
    Reason.CheckFailed: "The check itself failed; that never counts as satisfied. The message goes into a bug report.",
    Reason.CanaryPassed: "A run scored exactly this release beside its baseline, on terms no looser than the policy's, and promoted it.",
    Reason.CanaryNotRun: "Everything else is there; the release has yet to be scored beside its baseline. The run starts when a workload names the release.",
    Reason.CanaryRunning: "The release is being scored beside its baseline, out of traffic. Nothing to do.",
    Reason.CanaryInconclusive: "The run ended without a decision. Somebody who may waives the requirement, or a new release is applied.",
    Reason.CanaryRolledBack: "The release was scored beside its baseline and rolled back. That is for ever; apply a new release.",
    Reason.CanaryRunInvalid: "A CanaryRun of the release cannot be read, and might be the one that rolled it back.",
    Reason.CanaryUnproven: "A CanaryRun says Promote without a signature of the controller over just that. It counts for nothing.",
    Reason.MinDurationTooLong: "A requirement wants cases to be asked for at least as long as a run may take: none could be promoted.",
    Reason.DrillPassed: "The way back to the baseline was tried not too long ago, and works.",
    Reason.DrillMissing: "The way back to the baseline has not been tried. Start a drill: kubectl sluice drill mr/NAME.",
    Reason.DrillExpired: "The way back to the baseline was last tried too long ago. Start a drill: kubectl sluice drill mr/NAME.",
    Reason.DrillPod: "The Pod belongs to a ReleaseDrill: the controller lets it go, and no Service of users selects it.",
    Reason.DrillTooRare: "A requirement lets the controller drill less often than it wants drills: they would expire before the next one.",
    Reason.FirstRelease: "No other release of the model was there before: there is nothing to compare it with.",
    Reason.BaselineMissing: "The release names no baseline although another one of its model may serve. Releases do not change: make one that names it.",
    Reason.BaselineNotEntitled: "The baseline is not there or not entitled to serve: nothing is compared with it, or rolled back to it.",
    Reason.BaselineOfAnotherModel: "The baseline is a release of another model. Releases do not change: make another.",
    Reason.PairsMissing: "The suite counts recorded pairs, and nobody who may has signed a recording of this release beside its baseline.",
    Reason.PairsOfAnother: "A signed recording of the release compares it with another baseline, or was read on another suite, than policy asks for.",
    Reason.SuiteNotFound: "There is no ScoringSuite of the name that the policy gives.",
    Reason.SuiteInvalid: "The ScoringSuite cannot be used as it is. Suites do not change: delete it and apply another.",
    Reason.SuiteNotPermitted: "The ScoringSuite has another digest than the policy pins.",
    Reason.WithinEnvelope: "No monitor of the release found drift, and none is silent.",
    Reason.DriftFound: "A monitor found that the release behaves differently; its ReleaseMonitor says what moved from where to where.",
    Reason.MonitorSilent: "A monitor hears nothing, so nobody knows how the release behaves. Mend its source: Prometheus, or the suite it asks.",
    Reason.Withdrawn: "A monitor took the release out of service. The platform team looks at its ReleaseMonitor, and deletes it when that is dealt with.",
    Reason.DriftRolledBack: "The release drifted and was rolled back. That is for ever; apply a new release.",
    Reason.MonitorInvalid: "A ReleaseMonitor of the release cannot be read, and might be the one that took it out of service.",
    Reason.MonitorUnusable: "A monitor of the policy cannot work as it is defined, so what it is for is not watched.",
    Reason.Entitled: "Every requirement of every policy that matches is satisfied or waived.",
    Reason.NoPolicyMatches: "No ReleasePolicy selects the namespace, and nothing serves without one. Ask the platform team.",
    Reason.PolicyInvalid: "A ReleasePolicy that selects the namespace cannot be used, and is not ignored. Its Accepted condition says why.",
    Reason.ReleaseInvalid: "The ModelRelease cannot be read.",
    Reason.Rejected: "Somebody in a role of the policy rejected the release.",
    Reason.Counted: "The decision counts.",
    Reason.RoleNotGranted: "No ReleasePolicy that matches gives this person this role.",
    Reason.ReleaseChanged: "The decision names another release digest.",
    Reason.ReleaseNotFound: "There is no release of this name in the namespace.",
    Reason.EvidenceChanged: "The decision was taken on other evidence than the release has now. Look again, and decide again.",
    Reason.Expired: "The decision has ended.",
    Reason.NotStamped: "The decision does not carry the identity that the API server stamps. Delete it and create it again.",
    Reason.SeparationOfDuties: "The person stands behind a signature that the release relies on, and may not decide about it.",
    Reason.WaiverNotApproved: "Nobody waives alone. Somebody else who may waive it, or whom waiverCounts names, approves the waiver.",
    Reason.WaiverRejected: "Somebody in a role of the policy rejected the waiver.",
    Reason.WaiverChanged: "The decision is about another waiver than there is. Look at the one that is there, and decide again.",
    Reason.ApprovalRevoked: "The approval was taken back, by who gave it or by somebody in the same role. Whoever still approves does so anew.",
    Reason.ApprovalNotYet: "The signed decision says that it was made later than now. Nothing to do but to wait, or to look at the clock that was used.",
    Reason.NothingToRevoke: "The release has no approval with the UID or digest that is to be taken back. A rejection is deleted instead.",
    Reason.NotOnePerson: "Policy does not say which one person signed: the key or identity has several users behind it, or none. See operatedBy.",
    Reason.NothingToWaive: "No requirement of this name may be waived by this person.",
    Reason.ObjectInvalid: "The object cannot be read.",
    Reason.Accepted: "The policy, the trust root or the suite can be used as it is.",
    Reason.TrustRootNotFound: "The policy names a TrustRoot that does not exist, so no signature of that signer counts.",
    Reason.TrustRootInvalid: "The trust material does not parse, so nothing can be verified against it.",
    Reason.SignerUnverifiable: "A signer of the policy cannot be verified: its TrustRoot lacks the key, or has keys only where an identity is named.",
    Reason.RoleNotDefined: "A requirement names a role that the policy does not define, so nobody can decide in it.",
    Reason.TierNotDefined: "A requirement is for a tier that the policy does not define, so it may never apply.",
    Reason.BuilderNotPaired: "Several signers may sign provenance and not each says for which builders, so each may speak for every builder that is accepted.",
    Reason.NotGoverned: "The Pod serves no model that Sluice knows.",
    Reason.StageNotPermitted: "The release is not meant for the stage of the namespace.",
    Reason.ImageNotPinned: "An image is named by tag. Tags move; name it by digest.",
    Reason.ImageNotInRelease: "An image of the Pod is not an artifact of the release that it names.",
    Reason.ServiceAccountNotPermitted: "The Pod runs under another service account than the release's authority.",
    Reason.CredentialNotDeclared: "The Pod brings in a Secret, or a token, that the release's authority does not declare; the message names the field.",
    Reason.ReleaseNotNamed: "The Pod carries a model that a release knows, and names no release.",
    Reason.WeightsUnverified: "The weights are on storage that checks nothing, and the Pod lacks the init container of Sluice that does, or has it changed.",
    Reason.WeightsNotMounted: "The release says where its weights are, and the Pod does not mount that so that it can be checked.",
    Reason.WeightsWritable: "The Pod could change its weights after they were checked: mount them read-only.",
    Reason.ControlNotRunning: "The Pod runs no container with a filter or log that policy asks for, or does not say that logs are kept long enough.",
    Reason.VerifierMissing: "Weights must be checked where they are loaded, and Sluice was started without the image that does it.",
    Reason.CanaryPod: "The Pod belongs to a CanaryRun: the controller lets it go, and it gets no traffic of its own.",
    Reason.NotReady: "Sluice has not seen everything yet that it decides on.",
    Reason.Unchanged: "The request changes nothing that the gate judges.",
    Reason.KindUnknown: "The webhook was asked about a kind of object that it does not decide about. Install the webhook configurations of the same version.",
}


def markdown() -> str:
    """Render docs/reasons.md."""
    rows = "\n".join(f"| `{reason}` | {MEANING[reason]} |" for reason in Reason)
    runs = "\n".join(f"| `{reason}` | {RUN_MEANING[reason]} |" for reason in RunReason)
    drills = "\n".join(f"| `{reason}` | {DRILL_MEANING[reason]} |" for reason in DrillReason)
    return (
        "# Reasons\n"
        "<!-- Generated from operator/sluice/decision/reasons.py by `make reference`. Do not edit. -->\n\n"
        "Stable codes on requirements, conditions, events and admission messages. What evidence is not believed for\n"
        "is told by the [codes of verification](verification.md#codes).\n\n"
        f"| reason | meaning and remedy |\n|---|---|\n{rows}\n\n"
        "## Canary runs\n"
        "Codes in the status of a `CanaryRun`.\n\n"
        f"| reason | meaning and remedy |\n|---|---|\n{runs}\n\n"
        "## Drills\n"
        "Codes in the status of a `ReleaseDrill`.\n\n"
        f"| reason | meaning and remedy |\n|---|---|\n{drills}\n"
    )


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
