"""Which recording of shadow pairs a release is compared on: signed by somebody whom policy permits, about exactly this candidate, baseline and suite.

Of several it is the one that was signed first (then the smallest digest), and one that a run has pinned stays: a later recording that looks better changes
nothing. Nothing here fails a release: whoever may write evidence in its namespace could else deny its Pods.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sluice.api.policy import StatementKind
from sluice.api.recording import ConfigMapFile, ImageFile, Recording
from sluice.api.release import Outcome
from sluice.decision.reasons import Reason
from sluice.decision.signers import describe, kind_of_predicate, permitted_signer
from sluice.decision.statements import ordered, who_may
from sluice.evidence.shadow_pairs import ShadowPairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sluice.decision.instant import Instant
    from sluice.decision.model import Asked, Case, Release, Result
    from sluice.decision.runs import Run, Suite
    from sluice.evidence.facts import Fact

_SKEW: Final = timedelta(minutes=10)
"""How much later than ours the clock of the mirror may be."""
_SHOWN: Final = 19
"""Characters of a digest in a message."""
_KIND: Final = StatementKind.SHADOW_PAIRS

Vouched = tuple["Fact", ShadowPairs]
"""What was recorded, and the evidence that says so."""


def vouched_for(asked: Asked, case: Case, suite_digest: str, baseline: Release | None, at: Instant) -> list[Vouched]:
    """Give the recordings that count for a requirement, the first one first. `suite_digest` is that of the suite that it is about.

    A baseline that is gone cannot have become another one.
    """
    return [
        (fact, said)
        for fact, said in _about(case)
        if permitted_signer(asked.policy, fact)
        and said.suite.digest == suite_digest
        and (baseline is None or said.baseline.digest == baseline.digest)
        and at.has_come(said.recorded_until, early=_SKEW)
    ]


def pinned_by(run: Run, vouched: Iterable[Vouched]) -> Vouched | None:
    """Find what vouches for the recording of a run; None when nothing does (any more)."""
    return next(((fact, said) for fact, said in vouched if said.digest == pinned_digest(run)), None)


def pinned_digest(run: Run) -> str | None:
    """Give the digest of the recording that a run counts; None for one that asks."""
    return run.spec.recording.digest if run.spec.recording is not None else None


def choose(runs: Iterable[Run], vouched: Sequence[Vouched]) -> Vouched | None:
    """Choose what is counted: what a run has pinned already, else what was signed first. `runs` are those about this candidate, baseline and suite."""
    return next((found for run in runs if (found := pinned_by(run, vouched))), None) or next(iter(vouched), None)


def pinned_as(fact: Fact, said: ShadowPairs) -> Recording:
    """Give what a run pins."""
    return Recording(
        digest=said.digest, count=said.questions, evidence=fact.bundle_digest,
        config_map=said.kept if isinstance(said.kept, ConfigMapFile) else None, oci=said.kept if isinstance(said.kept, ImageFile) else None,
    )  # fmt: skip


def _about(case: Case) -> list[Vouched]:
    """What was recorded of this very release."""
    return [
        (fact, fact.content) for fact in ordered(case.facts) if isinstance(fact.content, ShadowPairs) and fact.content.candidate.digest == case.release.digest
    ]


def no_recording(asked: Asked, case: Case, suite: Suite, baseline: Release) -> Result:
    """Say the most useful thing about why nothing can be counted."""
    release, who = case.release, who_may(asked.policy, _KIND)
    sign = f"have {who} record {release.name} beside {baseline.name}, and sign it: sluice sign pairs (docs/replay.md)"
    if case.unverified:
        names = ", ".join(case.unverified[:8])
        return asked.result(Outcome.MISSING, Reason.EvidenceUnverified, f"ReleaseEvidence {names} is being verified", remedy="nothing to do; it takes seconds")
    about = _about(case)
    permitted = [said for fact, said in about if permitted_signer(asked.policy, fact)]
    if permitted:
        return asked.result(
            Outcome.MISSING, Reason.PairsOfAnother, f"recording {permitted[0].digest[:_SHOWN]}… {_mismatch(permitted[0], suite, baseline)}", remedy=sign
        )
    if about:
        return asked.result(
            Outcome.MISSING, Reason.SignerNotPermitted,
            f"policy {asked.policy.name} lets nobody but {who} sign {_KIND}; recording {about[0][1].digest[:_SHOWN]}… is signed by {describe(about[0][0])}",
            remedy=sign,
        )  # fmt: skip
    for refusal in sorted(case.refusals, key=lambda refusal: refusal.source):
        if kind_of_predicate(refusal.claims.predicate_type) is _KIND and release.digest in refusal.claims.subjects:
            return asked.result(
                Outcome.MISSING, Reason.EvidenceRefused, f"ReleaseEvidence {refusal.source} was refused ({refusal.reason}): {refusal.message}",
                remedy=f"kubectl describe mre/{refusal.source} -n {release.namespace}",
            )  # fmt: skip
    return asked.result(
        Outcome.MISSING, Reason.PairsMissing, f"suite {suite.name} counts recorded pairs, and no signed recording compares {release.name} with {baseline.name}",
        remedy=sign,
    )  # fmt: skip


def _mismatch(said: ShadowPairs, suite: Suite, baseline: Release) -> str:
    if said.baseline.digest != baseline.digest:
        return f"has {said.baseline.name} {said.baseline.digest[:_SHOWN]}… as baseline, and the release has {baseline.name} {baseline.digest[:_SHOWN]}…"
    if said.suite.digest != suite.digest:
        return f"was read on suite {said.suite.name} {said.suite.digest[:_SHOWN]}…, and policy asks for {suite.name} {suite.digest[:_SHOWN]}…"
    return f"ends at {said.recorded_until:%Y-%m-%d %H:%M:%S} UTC, which has not come yet"
