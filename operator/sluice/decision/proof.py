"""Whether a canary run proves what it says: a Promote counts with the controller's signature over this very run, its whole spec and the decision.

Everything else counts without: RollBack and Inconclusive only take away, and a missing signature must not give back. A signature is verified once for each
change of the run, or of the keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sluice.api.canary import CanaryDecision
from sluice.decision.runs import InvalidRun, Run
from sluice.evidence.canary_record import read_record
from sluice.provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.provenance.trust import TrustAnchors


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run as its status has it, and the record that is to prove it."""

    run: Run | InvalidRun
    namespace: str
    uid: str
    record: str

    @classmethod
    def of(cls, run: Run | InvalidRun, item: Mapping[str, Any]) -> Claim:
        """Read what proves a run."""
        metadata, status = item["metadata"], item.get("status") or {}
        return cls(run=run, namespace=str(metadata.get("namespace") or ""), uid=str(metadata.get("uid") or ""), record=str(status.get("record") or ""))

    def believed(self, keys: TrustAnchors | None) -> Run | InvalidRun:
        """The run as far as it is proven: a Promote that is not is undecided."""
        if not isinstance(self.run, Run) or self.run.decision is not CanaryDecision.PROMOTE:
            return self.run
        why = problem_of(self.run, self.record, keys, namespace=self.namespace, uid=self.uid)
        return replace(self.run, decision=CanaryDecision.PENDING, unproven=why) if why else self.run


def problem_of(run: Run, record: str, keys: TrustAnchors | None, *, namespace: str, uid: str) -> str:
    """Why a record does not prove what this very run says, whatever that is; empty when it does."""
    if keys is None:
        return "no public key of the controller is known here"
    if not record:
        return "it carries no record that the controller signed"
    try:
        signed = read_record(record.encode(), keys)
    except ProvenanceError as error:
        return f"its record is refused ({error.reason}): {error}"
    if (signed.namespace, signed.name, signed.uid) != (namespace, run.name, uid):
        return f"its record is of run {signed.namespace}/{signed.name}, uid {signed.uid}"
    if signed.spec != run.spec:
        return "its record is of a run that pins something else"
    return "" if signed.decision is run.decision else f"its record says {signed.decision}"
